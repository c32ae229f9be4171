/**
 * The HTTP server of the API, on 127.0.0.1 only. It owns the listener, the token and control.json.
 *
 * At the end control.json goes first, so that nobody new comes; requests get a moment to finish; then every
 * connection is closed, event streams too, since they would never end by themselves.
 */
import * as Effect from "effect/Effect"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Context from "effect/Context"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as UrlParams from "effect/http/UrlParams"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { createServer } from "node:http"
import { NodeConfig } from "../config.ts"
import { Api } from "../schema/Api.ts"
import * as ControlFile from "./ControlFile.ts"
import { EventFeed } from "./EventFeed.ts"
import * as AlarmHandlers from "./handlers/AlarmHandlers.ts"
import * as Guard from "./Guard.ts"
import * as HealthHandlers from "./handlers/HealthHandlers.ts"
import { Loopback, LoopbackError } from "./Loopback.ts"
import { Measures } from "./Measures.ts"
import * as MessageHandlers from "./handlers/MessageHandlers.ts"
import * as NodeHandlers from "./handlers/NodeHandlers.ts"
import * as OperationHandlers from "./handlers/OperationHandlers.ts"
import * as Page from "./Page.ts"
import { PageCodes } from "./PageCodes.ts"
import * as PeerHandlers from "./handlers/PeerHandlers.ts"
import * as ProfileHandlers from "./handlers/ProfileHandlers.ts"
import * as RequestErrors from "./handlers/RequestErrors.ts"
import * as Token from "./Token.ts"
import * as TransferHandlers from "./handlers/TransferHandlers.ts"
import * as TrustHandlers from "./handlers/TrustHandlers.ts"
import * as UploadHandlers from "./handlers/UploadHandlers.ts"
import { Uploads } from "./uploads/Uploads.ts"

const host = "127.0.0.1"

/** Requests that are being answered when the node ends get this long. */
const grace = "200 millis"

/**
 * Bounds on what one local program can hold open. They are on receiving the head of a request, so event streams, long
 * waits and uploads are not cut; who has no token is refused by the head alone, and hung up on. The check interval is
 * how late a bound may be noticed.
 */
const makeServer = () => {
  const server = createServer({
    headersTimeout: 5_000,
    // Files that are uploaded take what they take; one that stalls is given up where it is written.
    requestTimeout: 0,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 5_000,
    maxHeaderSize: 16 * 1024
  })
  server.maxConnections = 512
  return server
}

const listen = Effect.fnUntraced(function* (port: number) {
  const server = makeServer()
  const http = yield* NodeHttpServer.make(() => server, { host, port, gracefulShutdownTimeout: grace })
  // Runs before the server's own finalizer, which waits until no connection is left.
  yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
  return http
})

/** Listens on the wanted port, or on any free one when it is taken. */
const bind = Effect.gen(function* () {
  const { apiPort, dataDir } = yield* NodeConfig
  const http = yield* listen(apiPort).pipe(
    Effect.catch(() =>
      Effect.logInfo("The port of the API is taken; any free one is used.").pipe(
        Effect.annotateLogs({ port: apiPort }),
        Effect.andThen(listen(0))
      )
    ),
    Effect.mapError(
      (error) => new LoopbackError({ action: `listen on ${host}:${apiPort}`, detail: String(error.cause) })
    )
  )
  const port = http.address._tag === "UnixPathAddress" ? 0 : http.address.port
  const token = yield* Token.load(dataDir)
  return Context.make(HttpServer.HttpServer, http).pipe(
    Context.add(Loopback, { url: `http://${host}:${port}`, port, token: Redacted.make(token) })
  )
})

const handlers = Layer.mergeAll(
  HealthHandlers.layer,
  NodeHandlers.layer,
  PeerHandlers.layer,
  TrustHandlers.layer,
  MessageHandlers.layer,
  TransferHandlers.layer,
  ProfileHandlers.layer,
  AlarmHandlers.layer,
  UploadHandlers.layer,
  OperationHandlers.layer
).pipe(Layer.provide([Uploads.layer, PageCodes.layer]))

/** What is searched for, and what files are called, is nobody's but the asker's: it is not in traces either. */
const discreet = Layer.succeed(UrlParams.CurrentRedactedNames, [/^/])

const routes = HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
  Layer.provide(handlers),
  Layer.provide(RequestErrors.layer),
  Layer.provide(EventFeed.layer)
)

const control = Layer.effectDiscard(
  Effect.gen(function* () {
    const { dataDir } = yield* NodeConfig
    const { token, url } = yield* Loopback
    yield* ControlFile.publish(dataDir, { url, token: Redacted.value(token) })
  })
)

/** The API of the node that is provided. control.json appears once it can be used. */
export const layer = control.pipe(
  Layer.provide(
    HttpRouter.serve(Layer.mergeAll(routes, Page.layer, Guard.layer), { disableLogger: true, disableListenLog: true })
  ),
  Layer.provideMerge(Layer.effectContext(bind)),
  Layer.provide([NodeHttpServer.layerHttpServices, SecureRandom.layerWebCrypto, discreet]),
  Layer.provideMerge(Measures.layer)
)
