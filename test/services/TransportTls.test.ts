/** TLS links on this machine's loopback: the contract of every transport, then what only real sockets can get wrong. */
import { assert, describe, it } from "@effect/vitest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as net from "node:net"
import { NodeConfig, type NodeSettings } from "../../src/config.ts"
import { type Address, tcp } from "../../src/schema/Address.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Transport } from "../../src/services/Transport.ts"
import * as TransportTls from "../../src/services/TransportTls.ts"
import { type ContractNetwork, transportContract } from "./TransportContract.ts"

const nodeLayer = (settings: Partial<NodeSettings> = {}) =>
  Layer.fresh(TransportTls.layer).pipe(
    Layer.provideMerge(Layer.fresh(Identity.layerMemory)),
    Layer.provide([
      NodeConfig.layer({ name: "test", dataDir: "/nonexistent", host: "127.0.0.1", port: 0, ...settings }),
      SecureRandom.layerWebCrypto
    ])
  )

/** A node with nothing but a transport. */
const startNode = Effect.fnUntraced(function* (settings: Partial<NodeSettings> = {}) {
  const context = yield* Layer.build(nodeLayer(settings))
  const [transport, { id }] = yield* Effect.provideContext(Effect.all([Transport, Identity]), context)
  return { id, transport, address: tcp(settings.host ?? "127.0.0.1", transport.port) }
})

/** A server that does this with each connection; `at` is where it listens. */
const rawServer = (serve: (socket: net.Socket) => void) =>
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

const refusing = Effect.scoped(
  Effect.map(
    rawServer(() => {}),
    ({ at }) => at
  )
)

const network: ContractNetwork = {
  node: Effect.orDie(startNode()),
  refusing,
  silent: Effect.map(
    rawServer((socket) => socket.resume()),
    ({ at }) => at
  ),
  open: Effect.sync(() => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length)
}

transportContract("TransportTls", {
  network: Effect.succeed(network),
  test: (title, body) => it.live(title, () => body)
})
