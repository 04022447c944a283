/**
 * Keeps the page for when there is no connection, and for quick starts.
 *
 * It keeps one whole version of the page, of which all files come together: a list of the files and their tags is
 * compared with the server's, and a new version replaces the old one only when all of it has been loaded.
 */
"use strict";

const PREFIX = "page-";
const POINTER = "pointer";
const SHELL = "/index.html";

/** The files of the page. */
const FILES = [
  "/", "/style.css", "/manifest.webmanifest", "/vendor/preact.js", "/icons/icon.svg", "/icons/icon-192.png",
  "/app/main.js", "/app/model/conversations.js", "/app/model/entries.js", "/app/model/formatting.js", "/app/model/messages.js",
  "/app/model/names.js", "/app/model/state.js", "/app/model/window.js", "/app/net/link.js", "/app/net/profile.js",
  "/app/net/session.js", "/app/net/sign_in.js", "/app/net/transfers.js", "/app/protocol/frames.js", "/app/protocol/words.js",
  "/app/store/database.js", "/app/texts/index.js", "/app/texts/en.js", "/app/views/app.js", "/app/views/choices.js",
  "/app/views/composer.js", "/app/views/controller.js", "/app/views/dialogs.js", "/app/views/icons.js", "/app/views/message.js",
  "/app/views/sidebar.js", "/app/views/sign_in.js", "/app/views/talk.js",
];
