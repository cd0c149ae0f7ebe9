"use strict";
// Keeps parts of a page fresh without a reload, and says when the API does not answer.

const contact = (() => {
  const line = document.getElementById("contact");
  const problems = new Map();

  function show() {
    const [problem] = problems.values();
    line.hidden = !problem;
    document.body.classList.toggle("stale", Boolean(problem));
    if (problem && line.textContent !== problem) line.textContent = problem;
  }

  return {
    good(source) {
      problems.delete(source);
      show();
    },
    lost(source, reason) {
      if (!problems.has(source)) {
        const since = new Date().toLocaleTimeString();
        problems.set(source, `⚠ Not refreshed since ${since} (${reason}): what you see is older`);
      }
      show();
    },
  };
})();

async function fetched(address, accept) {
  const options = { headers: { Accept: accept }, signal: AbortSignal.timeout(10000) };
  const response = await fetch(address, options).catch(() => {
    throw new Error("no contact with the API");
  });
  if (response.status === 401 || response.redirected) throw new Error("signed out: reload the page");
  if (response.status === 404) throw new Error("it is not there any more");
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response;
}

function repeat(source, milliseconds, action) {
  const again = async () => {
    if (!document.hidden) {
      try {
        await action();
        contact.good(source);
      } catch (error) {
        contact.lost(source, error.message);
      }
    }
    setTimeout(again, milliseconds);
  };
  return again;
}

async function refreshParts() {
  const response = await fetched(location.pathname + location.search, "text/html");
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-refresh]")) {
    const fresh = page.getElementById(part.id);
    const isBeingRead = part.querySelector("details[open]") || part.contains(document.activeElement);
    if (fresh && !isBeingRead && fresh.innerHTML !== part.innerHTML) part.replaceWith(document.adoptNode(fresh));
  }
}

const refreshed = document.querySelector("[data-refresh]");
if (refreshed) {
  const milliseconds = Number(refreshed.dataset.refresh);
  setTimeout(repeat("page", milliseconds, refreshParts), milliseconds);
}
