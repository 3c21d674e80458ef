/* What every page for a telephone can do: large letters, and reading itself aloud. */
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const lang = document.documentElement.lang;

  letters();
  aloud();

  /* Large letters: the link works without us; with us the choice is remembered on this device. */
  function letters() {
    const link = by("big"), root = document.documentElement;
    const set = (isBig) => {
      root.classList.toggle("big", isBig);
      link.textContent = isBig ? link.dataset.less : link.dataset.more;
      link.setAttribute("aria-pressed", String(isBig));
    };
    let known = null;
    try { known = localStorage.getItem("big"); } catch (error) { /* storage is off: nothing is remembered */ }
    const asked = new URLSearchParams(location.search).get("big");
    link.setAttribute("role", "button");
    set(asked === null ? known === "1" : asked === "1");
    const remember = (isBig) => { try { localStorage.setItem("big", isBig ? "1" : "0"); } catch (error) { /* as above */ } };
    if (asked !== null) remember(asked === "1");
    link.addEventListener("keydown", (event) => event.key === " " && (event.preventDefault(), link.click()));
    link.addEventListener("click", (event) => {
      event.preventDefault();
      set(!root.classList.contains("big"));
      remember(root.classList.contains("big"));
    });
  }

  /* The page's own words, in the order in which they stand, by the voice of the device. */
  function aloud() {
    const button = by("aloud"), voice = self.speechSynthesis;
    if (!button || !voice || !self.SpeechSynthesisUtterance) return;
    button.hidden = false;
    const show = (isOn) => {
      button.textContent = isOn ? button.dataset.stop : button.dataset.start;
      button.setAttribute("aria-pressed", String(isOn));
    };
    show(false);
    addEventListener("pagehide", () => voice.cancel());
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-pressed") === "true") return voice.cancel(), show(false);
      const said = [...document.querySelectorAll("main h1, main h2, main p, main li, main label, main button, main summary")]
        .filter((part) => part !== button && part.offsetParent && !part.closest(".away, [hidden], .calls p, li li"))
        .map((part) => part.innerText.trim()).filter(Boolean);
      show(true);
      said.forEach((text, n) => {
        const spoken = new SpeechSynthesisUtterance(text);
        spoken.lang = lang;
        if (n === said.length - 1) spoken.onend = () => show(false);
        voice.speak(spoken);
      });
    });
  }
})();
