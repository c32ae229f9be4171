/** Nodes that have nothing but a TLS transport, and what stands beside them on a real network in tests. */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import * as net from "node:net"
import { NodeConfig, type NodeSettings } from "../../src/config.ts"
import { type Address, tcp } from "../../src/schema/Address.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Transport } from "../../src/services/Transport.ts"
import * as TransportTls from "../../src/services/transport/TransportTls.ts"

/** A line in a node's log. */
export interface Line {
  readonly level: string
  readonly text: string
}

/** Starts a node on the loopback, on any free port unless told otherwise. */
export const startNode = Effect.fnUntraced(function* (settings: Partial<NodeSettings> = {}) {
  const lines: Array<Line> = []
  const logger = Logger.map(Logger.formatLogFmt, (text) => {
    lines.push({ level: /level=(\w+)/.exec(text)?.[1] ?? "", text })
  })
  const context = yield* Layer.build(
    Layer.fresh(TransportTls.layer).pipe(
      Layer.provideMerge(Layer.fresh(Identity.layerMemory)),
      Layer.provide([
        NodeConfig.layer({ name: "test", dataDir: "/nonexistent", host: "127.0.0.1", port: 0, ...settings }),
        SecureRandom.layerWebCrypto,
        Logger.layer([logger])
      ])
    )
  )
  const [transport, identity] = yield* Effect.provideContext(Effect.all([Transport, Identity]), context)
  return {
    id: identity.id,
    transport,
    address: tcp(settings.host ?? "127.0.0.1", transport.port),
    /** What the node shows in TLS, for a test that speaks it by itself. */
    pem: { key: Redacted.value(identity.privateKey), cert: identity.certificate },
    lines
  }
})
export type TlsNode = Effect.Success<ReturnType<typeof startNode>>

/** A TCP server that does this with each connection; `at` is where it listens. */
export const rawServer = (serve: (socket: net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly at: Address; readonly close: () => void }>((resume) => {
      const sockets = new Set<net.Socket>()
      const server = net.createServer((socket) => {
        sockets.add(socket.on("error", () => {}).on("close", () => sockets.delete(socket)))
        serve(socket)
      })
      server.listen(0, "127.0.0.1", () => {
        const bound = server.address()
        const close = () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
        if (bound !== null && typeof bound === "object") {
          resume(Effect.succeed({ at: tcp("127.0.0.1", bound.port), close }))
        }
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** Lets the test's clock run, and the real network with it, until this is done. */
export const passTime = <A, E, R>(until: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(
    until,
    Effect.forever(
      Effect.andThen(
        TestClock.adjust("1 second"),
        Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
      )
    )
  )
