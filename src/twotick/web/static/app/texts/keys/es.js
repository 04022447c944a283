/** The keys that the page shares with the terminal app, made by tests/web/tables.py. */
export default ["Teclas", [
  ["Escribir", [
    ["Intro", "Enviar", "", false],
    ["Shift+Intro", "Línea nueva", "", false],
  ]],
  ["En cualquier parte", [
    ["Ctrl+K", "Ir a ...", "Buscar una conversación o empezarla", false],
    ["Alt+↓ Ctrl+↓", "Conversación siguiente", "La de abajo en la lista", false],
    ["Alt+↑ Ctrl+↑", "Conversación anterior", "La de arriba en la lista", false],
    ["Alt+A F3", "Siguiente conversación sin leer", "Las menciones van primero", false],
    ["F6", "Salas", "Ver las salas y unirse a una", true],
    ["F7", "Nueva sala", "Crear una sala", true],
    ["F2", "Detalles", "De la conversación y del mensaje seleccionado", false],
    ["F1", "Teclas", "Mostrar todas las teclas", false],
  ]],
  ["Con un mensaje seleccionado", [
    ["↑", "Mensaje de arriba", "", false],
    ["↓", "Mensaje de abajo", "", false],
    ["Esc", "Volver a escribir", "", false],
    ["a", "Enviar otra vez", "Si no se entregó", false],
    ["x", "Cancelar", "No enviar un mensaje en espera", false],
    ["r", "Responder", "Responder al mensaje", true],
    ["+", "Reaccionar", "El mismo emoji otra vez lo quita", true],
    ["e", "Editar", "Editar tu mensaje", true],
    ["d Borrar", "Borrar", "", true],
    ["t", "Hilo", "El mensaje y todas sus respuestas", true],
    ["f", "Reenviar", "A otra conversación", false],
    ["p", "Fijar", "Para todos en la conversación; otra vez lo suelta", true],
    ["c y", "Copiar el mensaje", "Al portapapeles", false],
    ["i", "Acuses", "Quién lo ha recibido y leído", true],
  ]],
]];
