(() => {
  // A security key (WebAuthn): the page asks the key, and sends the answer of the key as a form.
  const form = document.querySelector("[data-security-key]");
  if (!form) return;
  const [button, said] = [form.querySelector("button"), form.querySelector("[role=status]")];
  document.querySelector("[data-no-script]").remove();
  if (!window.PublicKeyCredential) { said.textContent = said.dataset.unable; return; }
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  const text = (buffer) => buffer && btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const enrols = form.dataset.enrols === "yes";
  const options = () => {
    const asked = JSON.parse(form.dataset.securityKey);
    asked.challenge = bytes(asked.challenge);
    if (asked.user) asked.user.id = bytes(asked.user.id);
    for (const name of ["allowCredentials", "excludeCredentials"]) for (const one of asked[name] || []) one.id = bytes(one.id);
    return { publicKey: asked };
  };
  const ask = async () => {
    button.disabled = true;
    said.textContent = "";
    const key = await (enrols ? navigator.credentials.create(options()) : navigator.credentials.get(options())).catch(() => null);
    button.disabled = false;
    if (!key) { said.textContent = said.dataset.silent; button.focus(); return; }
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (key.response[name]) response[name] = text(key.response[name]);
    }
    form.elements.answer.value = JSON.stringify({ id: key.id, rawId: text(key.rawId), type: key.type, response, clientExtensionResults: {} });
    form.submit();
  };
  button.addEventListener("click", ask);
  if (enrols) button.focus(); else ask();
})();
