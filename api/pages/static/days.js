// Days of the dialogue in the reader's zone: the server knows those of UTC only.

const date = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric" });

export function days(dialogue) {
  if (!dialogue) return;
  for (const day of dialogue.querySelectorAll(".day")) day.remove();
  let before;
  for (const line of dialogue.querySelectorAll("[data-at]")) {
    const at = new Date(line.dataset.at);
    const day = at.toDateString();
    if (day === before) continue;
    before = day;
    const heading = document.createElement("h2");
    heading.textContent = date.format(at).replace(",", "");
    const item = document.createElement("li");
    item.className = "day";
    item.append(heading);
    line.before(item);
  }
}
