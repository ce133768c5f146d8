// What was chosen here, before anything is painted: the theme (without a choice, the system's), and the filters put away.
try {
  for (const name of ["theme", "filters"]) {
    const chosen = localStorage.getItem(name);
    if (chosen) document.documentElement.dataset[name] = chosen;
  }
} catch {
  // No storage: as everybody has it.
}
document.documentElement.classList.add("js");
