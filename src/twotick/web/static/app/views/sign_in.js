/** The screen on which a user signs in, signs up, or enters as a guest. */
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { enterAsGuest, signIn } from "../net/sign_in.js";
import { isName } from "../protocol/words.js";
import { Accounts, StorageError } from "../store/database.js";
import { t } from "../texts/index.js";
import { socketUrl } from "./controller.js";
import { Logo } from "./icons.js";

/** The invitation code in the address, as links of `twotick invite` have it. */
const invitationInAddress = () => decodeURIComponent((location.hash.match(/^#invite=(.+)$/) ?? ["", ""])[1]);

/** Who enters as a guest at once, as the address of the demo says, and whom to talk to. */
const guestInAddress = () => /^#guest=([A-Za-z0-9]+)&to=([A-Za-z0-9]+)$/.exec(location.hash);

/** @param {{app: import("./controller.js").Controller}} given */
export function SignIn({ app }) {
  const invited = invitationInAddress();
  const [invitation, setInvitation] = useState(invited);
  const [name, setName] = useState(guestInAddress()?.[1] ?? "");
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  const [problem, setProblem] = useState("");
  const [working, setWorking] = useState(false);
  const first = useRef(/** @type {HTMLInputElement | null} */ (null));
  const mode = app.info.sign_up;
  const open = mode === "open";
  const withInvitation = mode === "invite";
  useEffect(() => {
    first.current?.focus();
    if (guestInAddress()) void go("guest");
  }, []);

  /** @param {"in" | "up" | "guest"} how */
  const go = async (how) => {
    if (working) return;
    if (!isName(name.trim())) return setProblem(t("error.name"));
    if (how === "up" && new TextEncoder().encode(password).length < 8) return setProblem(t("error.password"));
    if (how === "up" && withInvitation && !invitation.trim()) return setProblem(t("signin.needs"));
    if (how === "in" && !password) return setProblem(t("error.login"));
    setWorking(true);
    setProblem("");
    app.signedOut = "";
    try {
      const accounts = await Accounts.open();
      const signUp = how === "up" ? (withInvitation ? invitation.trim() : "yes") : null;
      const who = { name: name.trim(), password, signUp };
      const account = how === "guest" ? await enterAsGuest(socketUrl(), who.name) : await signIn(socketUrl(), who);
      await accounts.save(account);
      void navigator.storage?.persist?.();
      history.replaceState(null, "", `${location.pathname}#/${guestInAddress()?.[2] ?? ""}`);
      await app.enter(account);
      app.draw();
    } catch (error) {
      setProblem(error instanceof StorageError ? t("error.storage") : await app.explain(error, how));
      setWorking(false);
    }
  };
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    void go(invited ? "up" : "in");
  };
  const hint = invited ? t("signin.invited") : open ? t("signin.new") : withInvitation ? t("signin.needs") : t("signin.closed");

  return html`<main class="sign-in">
    <form class="card" onSubmit=${submit}>
      <header><${Logo} /><h1>Twotick</h1><p>${t("app.slogan")}</p></header>
      <label>${t("signin.name")}<input ref=${first} name="username" autocomplete="username" autocapitalize="none" spellcheck=${false}
        maxlength="32" value=${name} onInput=${(/** @type {any} */ e) => setName(e.target.value)} /></label>
      <label>${t("signin.password")}<input name="password" type=${shown ? "text" : "password"} autocomplete=${invited ? "new-password" : "current-password"}
        value=${password} onInput=${(/** @type {any} */ e) => setPassword(e.target.value)} /></label>
      <label class="check"><input type="checkbox" checked=${shown} onChange=${() => setShown(!shown)} />${t("signin.show")}</label>
      ${withInvitation && html`<label>${t("signin.invitation")}<input name="invitation" autocomplete="off" autocapitalize="none" spellcheck=${false}
        value=${invitation} onInput=${(/** @type {any} */ e) => setInvitation(e.target.value)} /></label>`}
      <p class="problem" role="alert">${problem || app.signedOut}</p>
      <div class="buttons">
        <button type=${invited ? "button" : "submit"} class=${invited ? "quiet" : "primary"} disabled=${working}
          onClick=${invited ? () => go("in") : undefined}>${t("signin.in")}</button>
        ${mode !== "closed" && html`<button type=${invited ? "submit" : "button"} class=${invited ? "primary" : "quiet"} disabled=${working}
          onClick=${invited ? undefined : () => go("up")}>${t("signin.up")}</button>`}
      </div>
      <p class="hint">${working ? t("signin.working") : hint}</p>
      ${app.info.guests && html`<hr /><button type="button" class="plain" disabled=${working} onClick=${() => go("guest")}>${t("signin.guest")}</button>
        <p class="hint">${t("signin.guest.hint")}</p>`}
      ${!isSecureContext && html`<p class="hint">${t("error.secure")}</p>`}
    </form>
  </main>`;
}
