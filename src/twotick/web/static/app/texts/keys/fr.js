/** The keys that the page shares with the terminal app, made by tests/web/tables.py. */
export default ["Touches", [
  ["Écrire", [
    ["Entrée", "Envoyer", "", false],
    ["Shift+Entrée", "Nouvelle ligne", "", false],
  ]],
  ["Partout", [
    ["Ctrl+K", "Aller à ...", "Trouver une conversation, ou en commencer une", false],
    ["Alt+↓ Ctrl+↓", "Conversation suivante", "Celle au-dessous dans la liste", false],
    ["Alt+↑ Ctrl+↑", "Conversation précédente", "Celle au-dessus dans la liste", false],
    ["Alt+A F3", "Conversation non lue suivante", "Les mentions d’abord", false],
    ["F6", "Salons", "Parcourir les salons et en rejoindre un", true],
    ["F7", "Nouveau salon", "Créer un salon", true],
    ["F2", "Détails", "De la conversation et du message sélectionné", false],
    ["F1", "Touches", "Lister les touches", false],
  ]],
  ["Avec un message sélectionné", [
    ["↑", "Message au-dessus", "", false],
    ["↓", "Message au-dessous", "", false],
    ["Échap", "Retour à l’écriture", "", false],
    ["a", "Renvoyer", "S’il n’a pas été remis", false],
    ["x", "Annuler", "Ne pas envoyer un message en attente", false],
    ["r", "Répondre", "Répondre au message", true],
    ["+", "Réagir", "Le même émoji le retire", true],
    ["e", "Modifier", "Modifier votre message", true],
    ["d Supprimer", "Supprimer", "", true],
    ["t", "Fil", "Le message et toutes ses réponses", true],
    ["f", "Transférer", "Dans une autre conversation", false],
    ["p", "Épingler", "Pour tous dans la conversation ; encore une fois le détache", true],
    ["c y", "Copier le message", "Dans le presse-papiers", false],
    ["i", "Accusés", "Qui l’a reçu et lu", true],
  ]],
]];
