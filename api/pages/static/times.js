// Times in the reader's zone; the title keeps the exact one in UTC. The words are those of words.py.

const DAY = 86_400_000;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat("en-US", { weekday: "short" });
const month = new Intl.DateTimeFormat("en-US", { month: "short" }); // British months are "Sept" and not Python's "Sep"
const day = (at) => `${at.getDate()} ${month.format(at)}`;
const year = (at) => `${day(at)} ${at.getFullYear()}`;

const styles = {
  clock: (at) => clock.format(at),
  date: (at) => `${weekday.format(at)} ${year(at)}`,
  moment(at, now, since) {
    if (since && at.toDateString() === since.toDateString()) return clock.format(at);
    if (at <= now && now - at < 6 * DAY) return `${weekday.format(at)} ${clock.format(at)}`;
    return `${(at.getFullYear() === now.getFullYear() ? day : year)(at)} ${clock.format(at)}`;
  },
};

export function localise(root) {
  const now = new Date();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const style = styles[time.dataset.style];
    const at = new Date(time.dateTime);
    if (style && !Number.isNaN(at.getTime())) {
      const text = style(at, now, time.dataset.since && new Date(time.dataset.since));
      if (time.textContent !== text) time.textContent = text;
    }
  }
}

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
