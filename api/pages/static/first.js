// The first conversation: this page turns into the list when it is there.

const waiting = document.getElementById("waiting");
let stream;

// Only while the page is looked at: a browser has six connections for a host.
function listen() {
  stream?.close();
  if (document.hidden) return;
  stream = new EventSource("/v1/stream");
  stream.addEventListener("open", () => {
    waiting.textContent = "Waiting for the first event. This page shows it when it is there.";
  });
  for (const kind of ["changed", "reload"]) stream.addEventListener(kind, () => location.reload());
}

document.addEventListener("visibilitychange", listen);
listen();
