/** The keys that the page shares with the terminal app, made by tests/web/tables.py. */
export default ["Tasten", [
  ["Schreiben", [
    ["Enter", "Senden", "", false],
    ["Shift+Enter", "Neue Zeile", "", false],
  ]],
  ["Überall", [
    ["Ctrl+K", "Gehe zu ...", "Eine Unterhaltung finden oder beginnen", false],
    ["Alt+↓ Ctrl+↓", "Nächste Unterhaltung", "Die darunter in der Liste", false],
    ["Alt+↑ Ctrl+↑", "Vorige Unterhaltung", "Die darüber in der Liste", false],
    ["Alt+A F3", "Nächste ungelesene Unterhaltung", "Erwähnungen kommen zuerst", false],
    ["F6", "Räume", "Räume ansehen und einem beitreten", true],
    ["F7", "Neuer Raum", "Einen Raum anlegen", true],
    ["F2", "Details", "Der Unterhaltung und der ausgewählten Nachricht", false],
    ["F1", "Tasten", "Alle Tasten zeigen", false],
  ]],
  ["Mit ausgewählter Nachricht", [
    ["↑", "Nachricht darüber", "", false],
    ["↓", "Nachricht darunter", "", false],
    ["Esc", "Zurück zum Schreiben", "", false],
    ["a", "Noch einmal senden", "Wenn sie nicht zugestellt wurde", false],
    ["x", "Abbrechen", "Eine wartende Nachricht nicht senden", false],
    ["r", "Antworten", "Auf die Nachricht antworten", true],
    ["+", "Reagieren", "Dasselbe Emoji noch einmal entfernt es", true],
    ["e", "Ändern", "Deine Nachricht ändern", true],
    ["d Löschen", "Löschen", "", true],
    ["t", "Thread", "Die Nachricht und alle Antworten darauf", true],
    ["f", "Weiterleiten", "In eine andere Unterhaltung", false],
    ["p", "Anheften", "Für alle in der Unterhaltung; noch einmal löst sie", true],
    ["c y", "Nachricht kopieren", "In die Zwischenablage", false],
    ["i", "Empfangsstatus", "Wer sie bekommen und gelesen hat", true],
  ]],
]];
