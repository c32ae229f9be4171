/** TLS links on this machine's loopback: the contract of every transport, then what only real sockets can get wrong. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as net from "node:net"
import * as os from "node:os"
import * as tls from "node:tls"
import { limits } from "../../src/config.ts"
import { format, tcp } from "../../src/schema/Address.ts"
import type { Link, Protocol } from "../../src/services/Transport.ts"
import { addressesOf } from "../../src/services/transport/TransportTls.ts"
import * as Foreign from "./ForeignCertificates.ts"
import { passTime, rawServer, startNode, type TlsNode } from "./TlsNode.ts"
import { transportContract } from "./TransportContract.ts"

const refusing = Effect.scoped(
  Effect.map(
    rawServer(() => {}),
    ({ at }) => at
  )
)

const silent = Effect.map(
  rawServer((socket) => socket.resume()),
  ({ at }) => at
)

const openSockets = Effect.sync(
  () => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length
)

transportContract("TransportTls", {
  network: Effect.succeed({ node: Effect.orDie(startNode()), refusing, silent, open: openSockets }),
  test: (title, body) => it.live(title, () => body)
})

/** Takes one link, and leaves it open. */
const incoming = Effect.fnUntraced(function* (node: TlsNode, protocol: Protocol = "kith/1") {
  const links = yield* Queue.bounded<Link>(16)
  yield* node.transport.accept(protocol, (link) => Effect.andThen(Queue.offer(links, link), Effect.never))
  return { next: Queue.take(links) }
})

const problemOf = (exit: Exit.Exit<unknown, { readonly problem: string; readonly detail: string }>) => {
  const error = Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isFailReason)?.error : undefined
  return [error?.problem, error?.detail]
}

describe("a dial over TLS", () => {
  const answers: Record<string, { readonly serve: (socket: net.Socket) => void; readonly detail: RegExp }> = {
    "plain HTTP": {
      serve: (socket) => socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
      detail: /wrong version|packet length|ECONNRESET|http/i
    },
    garbage: { serve: (socket) => socket.write(Buffer.alloc(10_000, 0x5a)), detail: /./ },
    "a hang-up": { serve: (socket) => socket.destroy(), detail: /ECONNRESET|EPIPE|hung up/ }
  }
  for (const [what, { detail, serve }] of Object.entries(answers)) {
    it.live(`to ${what} says that it is no node`, () =>
      Effect.gen(function* () {
        const node = yield* startNode()
        const { at } = yield* rawServer(serve)
        const [problem, why] = problemOf(yield* Effect.exit(node.transport.dial(at, { protocol: "kith/1" })))
        assert.strictEqual(problem, "notKith")
        assert.match(why ?? "", detail)
      })
    )
  }

  const servers: Record<string, { readonly options: tls.TlsOptions; readonly detail: RegExp }> = {
    "that speaks TLS 1.2": { options: { maxVersion: "TLSv1.2", requestCert: true }, detail: /version/i },
    "with an RSA key": { options: { ...Foreign.rsa, requestCert: true, ALPNProtocols: ["kith/1"] }, detail: /./ },
    "with a P-256 key": { options: { ...Foreign.p256, requestCert: true, ALPNProtocols: ["kith/1"] }, detail: /./ },
    "without ALPN": { options: { requestCert: true }, detail: /ALPN/ },
    "with another ALPN": { options: { requestCert: true, ALPNProtocols: ["h2"] }, detail: /ALPN|protocol/i },
    "with the other protocol": { options: { requestCert: true, ALPNProtocols: ["kith-data/1"] }, detail: /protocol/i },
    "that asks for no certificate": { options: { ALPNProtocols: ["kith/1"] }, detail: /asked for no certificate/ }
  }
  for (const [what, { detail, options }] of Object.entries(servers)) {
    it.live(`to a TLS server ${what} says that it is no node`, () =>
      Effect.gen(function* () {
        const node = yield* startNode()
        const other = yield* startNode()
        const server = tls.createServer({ ...other.pem, rejectUnauthorized: false, ...options })
        server.on("tlsClientError", () => {}).on("secureConnection", (socket) => socket.on("error", () => {}))
        const { at } = yield* rawServer((socket) => server.emit("connection", socket))
        const [problem, why] = problemOf(yield* Effect.exit(node.transport.dial(at, { protocol: "kith/1" })))
        assert.strictEqual(problem, "notKith")
        assert.match(why ?? "", detail)
      })
    )
  }

  it.live("to a name that nobody has says so, and to a place without a route too", () =>
    Effect.gen(function* () {
      const { transport } = yield* startNode()
      const dial = (host: string) => Effect.exit(transport.dial(tcp(host, 9), { protocol: "kith/1" }))
      assert.strictEqual(problemOf(yield* dial("no-such-host.invalid"))[0], "unresolved")
      assert.strictEqual(problemOf(yield* dial("bad\u0000name"))[0], "unresolved")
      assert.strictEqual(problemOf(yield* dial("255.255.255.255"))[0], "unreachable")
    })
  )

  it.effect("gives up in time, whether nothing answers TLS or the name is slow", () =>
    Effect.gen(function* () {
      const { transport } = yield* startNode()
      const dialling = yield* Effect.forkChild(transport.dial(yield* silent, { protocol: "kith/1" }))
      const [problem, detail] = problemOf(yield* passTime(Fiber.await(dialling)))
      assert.strictEqual(problem, "unreachable")
      assert.match(detail ?? "", /5s/)
    })
  )

  it.live("leaves nothing open when it is interrupted while the name is looked up or before anything is", () =>
    Effect.gen(function* () {
      const { transport } = yield* startNode()
      const everywhere = yield* startNode({ host: "::" })
      const before = yield* openSockets
      for (const host of ["localhost", "127.0.0.1", "no-such-host.invalid"]) {
        const dialling = yield* Effect.forkChild(
          Effect.scoped(transport.dial(tcp(host, everywhere.transport.port), { protocol: "kith/1" })),
          { startImmediately: true }
        )
        yield* Fiber.interrupt(dialling)
      }
      // What they had begun to open at the other end is closed there as well.
      while ((yield* openSockets) > before) yield* Effect.yieldNow
    })
  )

  it.live("by name, by IPv6 and by an address with a zone reaches a node that listens everywhere", () =>
    Effect.gen(function* () {
      const everywhere = yield* startNode({ host: "::" })
      const { transport } = yield* startNode()
      const accepted = yield* incoming(everywhere)
      const zoned = Object.entries(os.networkInterfaces()).flatMap(([name, addresses]) =>
        (addresses ?? [])
          .filter(({ address }) => address.startsWith("fe80:"))
          .map(({ address }) => `${address}%${name}`)
      )
      for (const host of ["127.0.0.1", "localhost", "::1", ...zoned.slice(0, 1)]) {
        const link = yield* transport.dial(tcp(host, everywhere.transport.port), { protocol: "kith/1" })
        const other = yield* accepted.next
        assert.strictEqual(link.peer, everywhere.id)
        assert.isFalse(other.remote.host.startsWith("::ffff:"))
        if (host.includes("%")) assert.match(other.remote.host, /^fe80:.*%/)
      }
    })
  )
})

const asItIs = (chunk: Buffer): Buffer => chunk

describe("a link over TLS", () => {
  /** A link through a wire that the test can cut and spoil. */
  const throughWire = Effect.gen(function* () {
    const [near, far] = [yield* startNode(), yield* startNode()]
    const wires: Array<{ readonly near: net.Socket; readonly far: net.Socket }> = []
    let spoil = asItIs
    const { at } = yield* rawServer((socket) => {
      const onwards = net.connect(far.address.port, "127.0.0.1")
      wires.push({ near: socket, far: onwards })
      onwards.on("error", () => {}).pipe(socket)
      socket.on("data", (chunk: Buffer) => onwards.write(spoil(chunk)))
      socket.on("close", () => onwards.destroy())
    })
    const accepted = yield* incoming(far)
    const dialled = yield* near.transport.dial(at, { protocol: "kith/1" })
    const link = yield* accepted.next
    const reset = () => wires.forEach((wire) => [wire.near, wire.far].forEach((socket) => socket.resetAndDestroy()))
    return { dialled, accepted: link, reset, spoilWith: (how: (chunk: Buffer) => Buffer) => (spoil = how) }
  })

  it.live("that is reset does not end cleanly, on either side, nor for who writes", () =>
    Effect.gen(function* () {
      const { accepted, dialled, reset } = yield* throughWire
      const writing = yield* Effect.forkChild(Effect.flip(Effect.forever(dialled.write(new Uint8Array(1 << 20)))))
      yield* accepted.readFully(new Uint8Array(100_000))
      reset()
      assert.isFalse((yield* Fiber.join(writing)).clean)
      assert.isFalse((yield* Effect.flip(Effect.forever(accepted.read))).clean)
      assert.isFalse((yield* Effect.flip(dialled.read)).clean)
      yield* dialled.close
    })
  )

  it.live("with a bit changed on its way ends, and gives out nothing of it", () =>
    Effect.gen(function* () {
      const { accepted, dialled, spoilWith } = yield* throughWire
      yield* dialled.write(Uint8Array.of(1))
      yield* accepted.readFully(new Uint8Array(1))
      spoilWith((chunk) => {
        const copy = Buffer.from(chunk)
        copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1
        return copy
      })
      yield* dialled.write(Uint8Array.of(2))
      assert.isFalse((yield* Effect.flip(accepted.read)).clean)
      assert.strictEqual((yield* Effect.flip(Effect.forever(dialled.read)))._tag, "LinkClosed")
    })
  )

  it.live("keeps what was written though both sides are slow and the closing one has unread bytes", () =>
    Effect.gen(function* () {
      const [near, far] = [yield* startNode(), yield* startNode()]
      const accepted = yield* incoming(far)
      const dialled = yield* near.transport.dial(far.address, { protocol: "kith/1" })
      const link = yield* accepted.next
      const unread = yield* Effect.forkChild(link.write(new Uint8Array(4 << 20)))
      yield* dialled.read
      yield* dialled.write(new Uint8Array(1 << 20))
      yield* dialled.close
      yield* link.readFully(new Uint8Array(1 << 20))
      yield* Fiber.join(unread)
      assert.isTrue((yield* Effect.flip(link.read)).clean)
    })
  )

  it.live("closes within a second though the other side neither reads nor closes", () =>
    Effect.gen(function* () {
      const { dialled } = yield* throughWire
      yield* Effect.forkChild(Effect.ignore(Effect.forever(dialled.write(new Uint8Array(1 << 20)))))
      yield* Effect.timeout(dialled.close, "3 seconds")
    })
  )
})

/** As the system describes one address of an interface. */
const entry = (address: string, internal = false) => ({
  address,
  internal,
  netmask: "",
  mac: "",
  ...(address.includes(":")
    ? { family: "IPv6" as const, scopeid: 0, cidr: null }
    : { family: "IPv4" as const, cidr: null })
})

describe("a listener over TLS", () => {
  it.live("takes another port when its own is taken, unless a person chose it", () =>
    Effect.gen(function* () {
      const { at } = yield* rawServer(() => {})
      const node = yield* startNode({ port: at.port })
      assert.notStrictEqual(node.transport.port, at.port)
      const error = yield* Effect.flip(startNode({ port: at.port, portIsFixed: true }))
      assert.strictEqual(error.message.replace(String(at.port), "PORT"), refusal)
    })
  )
  const refusal =
    "cannot listen on 127.0.0.1:PORT: another program listens on that port. " +
    "Choose another port with --port, or stop what uses it"

  it.live(
    "has its port alone, though several listeners of its own share it, and nodes that begin at once have others",
    () =>
      Effect.gen(function* () {
        const { at, close } = yield* rawServer(() => {})
        close()
        // The port is free again; both want it.
        const nodes = yield* Effect.all(
          Array.from({ length: 6 }, () => startNode({ port: at.port })),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(nodes.map(({ transport }) => transport.port)).size, 6)
        for (const node of nodes) {
          const links = yield* incoming(node)
          const [other] = nodes.filter((each) => each !== node)
          // Whichever of its listeners takes it: the key is always the one node's.
          for (let n = 0; n < 16; n++) {
            const link = yield* Effect.orDie((other ?? node).transport.dial(node.address, { protocol: "kith/1" }))
            assert.strictEqual(link.peer, node.id)
            yield* Effect.andThen(links.next, link.close)
          }
        }
      })
  )

  it.live("takes a port that another program shares for its own no more than one that is taken", () =>
    Effect.gen(function* () {
      const shared = yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer((socket) => void socket.destroy())
          server.listen({ port: 0, host: "127.0.0.1", reusePort: process.platform === "linux" }, () =>
            resume(Effect.succeed(server))
          )
        }),
        (server) => Effect.sync(() => server.close())
      )
      const bound = shared.address()
      const port = typeof bound === "object" && bound !== null ? bound.port : 0
      const node = yield* startNode({ port })
      assert.notStrictEqual(node.transport.port, port)
    })
  )

  it.live("refuses an address that is not this machine's", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(startNode({ host: "192.0.2.1" }))
      assert.match(error.message, /192\.0\.2\.1:0: this machine has no such address/)
    })
  )

  it.live("is gone, with every link, when its scope has ended", () =>
    Effect.gen(function* () {
      const near = yield* startNode()
      const scope = yield* Scope.make()
      const before = yield* openSockets
      const far = yield* Scope.provide(startNode(), scope)
      const accepted = yield* Scope.provide(incoming(far), scope)
      const link = yield* near.transport.dial(far.address, { protocol: "kith/1" })
      yield* accepted.next
      const waiting = net.connect(far.address.port, "127.0.0.1").on("error", () => {})
      yield* Effect.callback<void>((resume) => void waiting.once("connect", () => resume(Effect.void)))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Effect.flip(link.read))._tag, "LinkClosed")
      const exit = yield* Effect.exit(near.transport.dial(far.address, { protocol: "kith/1" }))
      assert.strictEqual(problemOf(exit)[0], "refused")
      yield* Effect.callback<void>((resume) => {
        if (waiting.closed) resume(Effect.void)
        else waiting.resume().once("close", () => resume(Effect.void))
      })
      yield* link.close
      // Node counts a socket until it has told of its close.
      const settled = (turns: number): Effect.Effect<void> =>
        Effect.flatMap(openSockets, (now) =>
          now === before || turns === 0
            ? Effect.void
            : Effect.andThen(
                Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))),
                settled(turns - 1)
              )
        )
      yield* settled(100)
      assert.strictEqual(yield* openSockets, before)
    })
  )

  it("tells its addresses: IPv4 first, each once, none that only this machine can use", () => {
    const interfaces = {
      lo: [entry("127.0.0.1", true), entry("::1", true)],
      eth0: [entry("fd00::2"), entry("fe80::1"), entry("192.0.2.7")],
      eth1: [entry("192.0.2.7"), entry("198.51.100.4")]
    }
    const addresses = (host: string) => addressesOf({ host, port: 9090 }, interfaces).map(format)
    assert.deepStrictEqual(addresses("::"), ["192.0.2.7:9090", "198.51.100.4:9090", "[fd00::2]:9090"])
    assert.deepStrictEqual(addresses("0.0.0.0"), ["192.0.2.7:9090", "198.51.100.4:9090"])
    assert.deepStrictEqual(addresses("127.0.0.1"), ["127.0.0.1:9090"])
    assert.deepStrictEqual(addresses("fd00::2"), ["[fd00::2]:9090"])
  })

  it.live("works on handshakes of one address in turn, and of other addresses meanwhile", () =>
    Effect.gen(function* () {
      const [near, far] = [yield* startNode(), yield* startNode()]
      const accepted = yield* incoming(far)
      const idle = yield* Effect.forEach(Array.from({ length: limits.handshakesPerAddressMax }), () =>
        Effect.callback<net.Socket>((resume) => {
          const socket = net.connect(far.address.port, "127.0.0.1", () => resume(Effect.succeed(socket)))
          socket.on("error", () => {})
        })
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => idle.forEach((socket) => socket.destroy())))
      const dialling = yield* Effect.forkChild(near.transport.dial(far.address, { protocol: "kith/1" }))
      const elsewhere = yield* Effect.acquireRelease(
        Effect.sync(() =>
          tls.connect({
            ...near.pem,
            port: far.address.port,
            host: "127.0.0.1",
            localAddress: "127.0.0.2",
            rejectUnauthorized: false,
            ALPNProtocols: ["kith/1"]
          } as tls.ConnectionOptions)
        ),
        (socket) => Effect.sync(() => socket.destroy())
      )
      elsewhere.on("error", () => {})
      assert.strictEqual((yield* accepted.next).remote.host, "127.0.0.2")
      assert.isUndefined(dialling.pollUnsafe(), "the ninth handshake of one address did not wait")
      idle[0]?.destroy()
      yield* Fiber.join(dialling)
      assert.strictEqual((yield* accepted.next).remote.host, "127.0.0.1")
    })
  )
})
