// Before anything is painted, so that a chosen theme never flashes. A file of its own: inline scripts are not allowed.
try {
  const theme = localStorage.getItem("kith.theme")
  if (theme !== null) document.documentElement.dataset.theme = theme
} catch {
  // Without storage the system's theme is shown.
}
