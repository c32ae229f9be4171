/**
 * Keeps the shell of the page, so that it opens also while its node is stopped, and then says so. It keeps nothing of
 * what people say or send: only the files of the build, which the line below names. Each build has another version; the
 * node is asked for the page first, so that a new build is seen at once, and what the old one kept is removed.
 */
const kept = /*KEPT*/ { version: "", paths: [] } /*KEPT*/
const name = `kith ${kept.version}`

/** A node that was stopped in its sleep answers nothing at all: after this long the kept page is shown. */
const patienceMillis = 3_000

addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(name)
      .then((cache) => cache.addAll(kept.paths.map((path) => new Request(path, { cache: "reload" }))))
      .then(() => skipWaiting())
  )
})

addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((known) => known !== name).map((old) => caches.delete(old))))
      .then(() => clients.claim())
  )
})

const fromNodeFirst = async (request) => {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(patienceMillis) })
    if (answer.ok) return answer
  } catch {
    // The node is not there: what was kept has to do.
  }
  return (await caches.match(new URL(request.url).pathname)) ?? Response.error()
}

addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url)
  if (event.request.method !== "GET" || origin !== location.origin) return
  // A file under assets/ is named by its content, so the kept one is the one. The API is never answered from here.
  if (pathname.startsWith("/assets/")) {
    event.respondWith(caches.match(pathname).then((found) => found ?? fetch(event.request)))
  } else if (pathname === "/" || pathname.startsWith("/page/")) event.respondWith(fromNodeFirst(event.request))
})
