/**
 * The page in the browser: the files that the build put into dist/web, or, where there are none, a line that says so.
 * It is public to every program of this machine, and holds no secret: what it shows comes over the API with a token.
 */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpStaticServer from "effect/http/HttpStaticServer"
import * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { LoopbackError } from "./Loopback.ts"

/** Scripts, styles and pictures of its own only, one worker, which keeps the shell; nobody may frame it. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "manifest-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types kith-worker"
].join("; ")

/** Said with every file of the page. */
export const headers = { "content-security-policy": policy, "cross-origin-opener-policy": "same-origin" }

/** Where these files are, whether this is a module of dist/, of its bundle, or a source. */
const built = ["../web/", "../../dist/web/"]
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((path) => !path.includes("/src/web/") && existsSync(`${path}index.html`))

const placeholder = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Kith</title>
<p>This node is running, but its page was not built. The command line does the same: <code>kith --help</code></p>
</html>
`

/** Whether this path is of the page, and so needs no token. */
export const isPage = (method: string, path: string): boolean =>
  (method === "GET" || method === "HEAD") &&
  (path === "/" || path === "/sw.js" || /^\/(assets|page)\/(?!.*\.\.)[\w./-]+$/.test(path))

const unreadable = (error: PlatformError) => new LoopbackError({ action: "read the page", detail: error.message })

const said = (response: HttpServerResponse.HttpServerResponse) => HttpServerResponse.setHeaders(response, headers)

/** The page at /, its worker, and its files at /assets and /page. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const router = yield* HttpRouter.HttpRouter
    if (built === undefined) {
      return yield* router.add("GET", "/", Effect.succeed(said(HttpServerResponse.html(placeholder))))
    }
    const file = Effect.map(yield* Effect.mapError(HttpStaticServer.make({ root: built }), unreadable), said)
    for (const path of ["/", "/sw.js", "/assets/*", "/page/*"] as const) yield* router.add("GET", path, file)
  })
)
