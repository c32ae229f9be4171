/**
 * Stands before every route: who may ask at all, and how a refusal looks. A page of another site can make a browser
 * send requests here, and another user's program can connect, so three things are asked of each request: the Host is
 * ours (a rebound name is not), the Origin, where there is one, is ours, and the bearer token is right. Without a token
 * go only /healthz, which tells nothing, the files of the page, which hold nothing, and /open, where the page changes
 * its code for the token. Tokens in URLs are not looked at: URLs end up in logs and histories.
 */
import * as ByteSize from "effect/ByteSize"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Redacted from "effect/Redacted"
import * as Failures from "../schema/ApiFailures.ts"
import { bodyOf, contentType, type Shown } from "../schema/Problem.ts"
import { DatabaseError } from "../services/database/DatabaseError.ts"
import * as Metrics from "../services/Metrics.ts"
import { Loopback } from "./Loopback.ts"
import { isPage } from "./Page.ts"
import { equal } from "./Proof.ts"

/** Largest request body: 64 KiB of chat may need six times that once JSON has escaped it; 1,000 long paths fit too. */
export const bodyMaxBytes = 1024 * 1024

/** The path that anybody may ask for, by whatever name of this machine. */
const open = "/healthz"

/** Where a body may be of any size: it goes to disk as it comes. */
const upload = /^\/api\/uploads\/[a-z2-7]{26}\/file$/

type Headers = Readonly<Record<string, string | undefined>>

/** Why a request is refused, or undefined if it may pass. Pure. */
export const refusal = (
  server: { readonly port: number; readonly token: string },
  request: { readonly method: string; readonly url: string; readonly headers: Headers }
): { readonly status: number; readonly title: string; readonly error: Shown } | undefined => {
  const path = pathOf(request.url)
  if (path === open) return undefined
  const hosts = [`127.0.0.1:${server.port}`, `localhost:${server.port}`]
  const { host, origin, authorization = "" } = request.headers
  if (host === undefined || !hosts.includes(host)) {
    return { status: 421, title: "Misdirected request", error: new Failures.WrongHost() }
  }
  if (origin !== undefined && !hosts.some((own) => origin === `http://${own}`)) {
    return { status: 403, title: "Foreign origin", error: new Failures.ForeignOrigin() }
  }
  if (isPage(request.method, path) || (request.method === "POST" && path === "/open")) return undefined
  const [, given] = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(authorization) ?? []
  if (given === undefined || !equal(server.token, given, server.token)) {
    return { status: 401, title: "Unauthorized", error: new Failures.Unauthorized() }
  }
  return undefined
}

const pathOf = (url: string): string => url.split("?", 1)[0] ?? url

/** What every response says: nothing is kept, guessed, framed or shared with other origins. */
const always = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer"
}

const refuse = (error: Shown, status: number, title: string) =>
  HttpServerResponse.jsonUnsafe(bodyOf(error, status, title), {
    status,
    contentType,
    headers: {
      // What is left of the body is not waited for.
      connection: "close",
      ...(status === 401 && { "www-authenticate": "Bearer" })
    }
  })

/** Applies `refusal` to every request, limits bodies, and gives every failure a body that says what it is. */
export const layer = HttpRouter.middleware(
  Effect.gen(function* () {
    const { port, token } = yield* Loopback
    const server = { port, token: Redacted.value(token) }
    const report = yield* makeReport
    return (handle) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const refused = refusal(server, request)
        if (refused !== undefined) {
          yield* Metrics.count(Metrics.apiRefusals, { reason: refused.error._tag })
          yield* report(refused.error._tag)
          return refuse(refused.error, refused.status, refused.title)
        }
        return yield* handle.pipe(
          upload.test(pathOf(request.url))
            ? (effect) => effect
            : Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(bodyMaxBytes)),
          Effect.catchCause((cause) => failed(request, cause))
        )
      }).pipe(Effect.map(HttpServerResponse.setHeaders(always)))
  }),
  { global: true }
)

/** Refusals are logged at most this often, with their number: whoever is refused can ask as fast as it likes. */
const reportEvery = Duration.toMillis("1 minute")

const makeReport = Effect.sync(() => {
  let count = 0
  let quietUntil = -Infinity
  return Effect.fnUntraced(function* (reason: string) {
    const now = yield* Clock.currentTimeMillis
    count += 1
    if (now < quietUntil) return
    yield* Effect.logWarning("Requests to the API were refused.").pipe(Effect.annotateLogs({ reason, count }))
    count = 0
    quietUntil = now + reportEvery
  })
})

/** What no handler answered. */
const failed = (request: HttpServerRequest.HttpServerRequest, cause: Cause.Cause<unknown>) =>
  Effect.gen(function* () {
    // An interrupted request has nobody left to answer.
    if (Cause.hasInterruptsOnly(cause)) return yield* Effect.failCause(cause)
    const error = Cause.squash(cause)
    if (error instanceof HttpServerError && error.reason._tag === "RouteNotFound") {
      const missing = new Failures.NoSuchRoute({ method: request.method, path: pathOf(request.url).slice(0, 256) })
      return refuse(missing, 404, "Not found")
    }
    if (error instanceof HttpServerError && error.reason._tag === "RequestParseError") {
      return error.reason.reason === "BodyTooLarge"
        ? refuse(new Failures.BodyTooLarge({ maxBytes: bodyMaxBytes }), 413, "Body too large")
        : refuse(new Failures.InvalidRequest({ part: "body", problem: "it ended early" }), 400, "Invalid request")
    }
    if (error instanceof DatabaseError) {
      yield* Effect.logError("The database failed a request to the API.").pipe(
        Effect.annotateLogs({ path: error.path, reason: error.reason, problem: error.problem })
      )
      return refuse(new Failures.StorageFailed({ problem: error.message }), 503, "The database cannot be used now")
    }
    yield* Effect.logError("The API met an unexpected error.", cause).pipe(
      Effect.annotateLogs({ method: request.method, path: pathOf(request.url) })
    )
    return refuse(new Failures.Unexpected(), 500, "Unexpected error")
  })
