/** Whoever connects and is no node is closed in time, with one line in the log, and nobody else notices. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { X509Certificate } from "node:crypto"
import * as net from "node:net"
import * as tls from "node:tls"
import { limits } from "../../src/config.ts"
import { idOfCertificate } from "../../src/services/identity/Certificate.ts"
import type { Link } from "../../src/services/Transport.ts"
import * as Foreign from "./ForeignCertificates.ts"
import { identify } from "../../src/services/transport/TransportTlsSecurity.ts"
import { passTime, startNode, type TlsNode } from "./TlsNode.ts"

/** Connects, does this, and waits until the node has closed the connection. */
const visit = (node: TlsNode, talk: (socket: net.Socket) => void) =>
  Effect.callback<void>((resume) => {
    const socket = net.connect(node.address.port, "127.0.0.1", () => talk(socket))
    socket.on("error", () => {}).resume()
    socket.once("close", () => resume(Effect.void))
    return Effect.sync(() => socket.destroy())
  })

/** The same with TLS. */
const visitTls = (node: TlsNode, options: tls.ConnectionOptions, talk: (socket: tls.TLSSocket) => void = () => {}) =>
  Effect.callback<void>((resume) => {
    const socket = tls.connect({ host: "127.0.0.1", port: node.address.port, rejectUnauthorized: false, ...options })
    socket.on("error", () => {}).on("secureConnect", () => talk(socket))
    socket.resume().once("close", () => resume(Effect.void))
    return Effect.sync(() => socket.destroy())
  })

/** Links that come in, each open until the scope ends. */
const incoming = Effect.fnUntraced(function* (node: TlsNode) {
  const links = yield* Queue.bounded<Link>(4)
  yield* node.transport.accept("kith/1", (link) => Effect.andThen(Queue.offer(links, link), Effect.never))
  return links
})

/** A node is well if another can open a link to it. */
const isWell = Effect.fnUntraced(function* (node: TlsNode, links: Queue.Dequeue<Link>) {
  const other = yield* startNode()
  yield* other.transport.dial(node.address, { protocol: "kith/1", expect: node.id })
  assert.strictEqual((yield* Queue.take(links)).peer, other.id)
})

/** A connection that is closed may be reported a moment later: the line comes with the end of its fiber. */
const lines = Effect.fnUntraced(function* (node: TlsNode) {
  while (node.lines.length === 0)
    yield* Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
  return node.lines
})

/** Those who only went away: so does a dial of a node that was called off, and that is nothing to read about. */
const leavers: Record<string, Visitor["visit"]> = {
  "one byte, then the end": (node) => visit(node, (socket) => socket.end(Buffer.from([22]))),
  "nothing, then the end": (node) => visit(node, (socket) => socket.end()),
  "nothing, then a reset": (node) => visit(node, (socket) => socket.resetAndDestroy()),
  "a handshake that is called off": (node) =>
    visit(node, (socket) => {
      const options = { socket, ALPNProtocols: ["kith/1"], rejectUnauthorized: false, ...node.pem }
      const dial = tls.connect(options).on("error", () => {})
      socket.once("data", () => dial.destroy())
    })
}

const openSockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length

interface Visitor {
  readonly visit: (node: TlsNode) => Effect.Effect<void>
  readonly says: RegExp
}

const alpn = ["kith/1"]
const repeated = (text: string, count: number) => Array.from({ length: count }, () => text).join("")

const visitors: Record<string, Visitor> = {
  "plain HTTP": {
    visit: (node) => visit(node, (socket) => socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")),
    says: /http request/
  },
  "10,000 bytes of garbage": {
    visit: (node) => visit(node, (socket) => socket.write(Buffer.alloc(10_000, 0x5a))),
    says: /reason=./
  },
  "a record that claims more than there can be": {
    visit: (node) => visit(node, (socket) => socket.write(Buffer.from([22, 3, 1, 255, 255, ...Buffer.alloc(300)]))),
    says: /reason=./
  },
  "TLS 1.2": {
    visit: (node) => visitTls(node, { ...node.pem, ALPNProtocols: alpn, maxVersion: "TLSv1.2" }),
    says: /protocol|version/
  },
  "no certificate": { visit: (node) => visitTls(node, { ALPNProtocols: alpn }), says: /no certificate/ },
  "no ALPN": { visit: (node) => visitTls(node, { ...node.pem }), says: /ALPN/ },
  "another ALPN": {
    visit: (node) => visitTls(node, { ...node.pem, ALPNProtocols: ["h2", "kith/2"] }),
    says: /application protocol/
  },
  "an RSA certificate": {
    visit: (node) => visitTls(node, { ...Foreign.rsa, ALPNProtocols: alpn }),
    says: /certificate|ed25519|signature/
  },
  "a P-256 certificate": {
    visit: (node) => visitTls(node, { ...Foreign.p256, ALPNProtocols: alpn }),
    says: /certificate|ed25519|signature/
  },
  "two certificates": {
    visit: (node) => visitTls(node, { ...node.pem, cert: node.pem.cert + Foreign.p256.cert, ALPNProtocols: alpn }),
    says: /more than one certificate/
  },
  "a thousand certificates": {
    visit: (node) => visitTls(node, { ...node.pem, cert: repeated(node.pem.cert, 1000), ALPNProtocols: alpn }),
    says: /excessive message size|certificate/
  },
  "a server name that is none": {
    visit: (node) => visitTls(node, { servername: "\u0000\u001b[2J", ALPNProtocols: alpn }),
    says: /no certificate|name/
  }
}

describe("a TLS listener visited by", () => {
  for (const [what, { says, visit }] of Object.entries(visitors)) {
    it.live(`${what} closes it, writes one line, and goes on`, () =>
      Effect.gen(function* () {
        const node = yield* startNode()
        yield* visit(node)
        yield* visit(node)
        const written = yield* lines(node)
        yield* isWell(node, yield* incoming(node))
        assert.strictEqual(written.length, 1, written.map(({ text }) => text).join("\n"))
        assert.strictEqual(written[0]?.level, "INFO")
        assert.match(written[0]?.text ?? "", says)
        assert.match(written[0]?.text ?? "", /address=127\.0\.0\.1:\d+/)
      })
    )
  }

  for (const [what, visit] of Object.entries(leavers)) {
    it.live(`${what} closes it, writes nothing at info, and goes on`, () =>
      Effect.gen(function* () {
        const node = yield* startNode()
        yield* visit(node)
        yield* visit(node)
        yield* isWell(node, yield* incoming(node))
        assert.deepStrictEqual(node.lines, [])
      })
    )
  }

  it.live("one key for too many links closes the ones that are too many, and only those", () =>
    Effect.gen(function* () {
      const node = yield* startNode()
      const other = yield* startNode()
      const open = new Set<Link>()
      yield* node.transport.accept("kith/1", (link) =>
        Effect.acquireRelease(
          Effect.sync(() => open.add(link)),
          () => Effect.sync(() => open.delete(link))
        ).pipe(Effect.andThen(Effect.ignore(link.read)))
      )
      const at = { host: "127.0.0.1", port: node.address.port, rejectUnauthorized: false, ALPNProtocols: alpn }
      const dials = Array.from({ length: limits.linksPerPeerMax + 8 }, () => tls.connect({ ...at, ...other.pem }))
      const gone = yield* Effect.callback<number>((resume) => {
        let closed = 0
        for (const dial of dials) {
          dial.on("error", () => {}).resume()
          dial.once("close", () => {
            if (++closed === 8) resume(Effect.succeed(closed))
          })
        }
        return Effect.sync(() => dials.forEach((dial) => dial.destroy()))
      })
      assert.deepStrictEqual([gone, open.size], [8, limits.linksPerPeerMax])
      assert.match((yield* lines(node))[0]?.text ?? "", /64 links of this peer are open/)
      // The room comes back with the end of a link.
      for (const dial of dials) dial.destroy()
      while (open.size > 0) yield* Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
      yield* other.transport.dial(node.address, { protocol: "kith/1", expect: node.id })
      while (open.size === 0) yield* Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
    })
  )

  it.effect("silence closes it at the deadline", () =>
    Effect.gen(function* () {
      const node = yield* startNode()
      yield* passTime(visit(node, () => {}))
      assert.match((yield* lines(node))[0]?.text ?? "", /no handshake within 5s/)
      yield* isWell(node, yield* incoming(node))
    })
  )

  it.effect("a handshake that trickles in closes it at the same deadline", () =>
    Effect.gen(function* () {
      const node = yield* startNode()
      const hello = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, ...Buffer.alloc(500)])
      yield* passTime(
        visit(node, (socket) => {
          let at = 0
          const trickle = setInterval(() => socket.write(hello.subarray(at, ++at)), 1)
          socket.once("close", () => clearInterval(trickle))
        })
      )
      assert.match((yield* lines(node))[0]?.text ?? "", /no handshake within 5s/)
    })
  )

  it.live("someone who brings the session of another is not taken for the other", () =>
    Effect.gen(function* () {
      const node = yield* startNode()
      const [first, second] = [yield* startNode(), yield* startNode()]
      const links = yield* incoming(node)
      const open = (options: tls.ConnectionOptions) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const at = { host: "127.0.0.1", port: node.address.port }
            const socket = tls.connect({ ...at, rejectUnauthorized: false, ALPNProtocols: alpn, ...options })
            return socket.on("error", () => {}).resume()
          }),
          (socket) => Effect.sync(() => socket.destroy())
        )
      const honest = yield* open(first.pem)
      const session = yield* Effect.callback<Buffer>(
        (resume) => void honest.once("session", (ticket) => resume(Effect.succeed(ticket)))
      )
      assert.strictEqual((yield* Queue.take(links)).peer, first.id)
      yield* open({ ...second.pem, session })
      assert.strictEqual((yield* Queue.take(links)).peer, second.id)
      yield* visitTls(node, { ALPNProtocols: alpn, session })
      assert.match((yield* lines(node))[0]?.text ?? "", /no certificate|resumed/)
      yield* isWell(node, links)
    })
  )

  it.live("two hundred at once closes them all, in little more than their handshakes take", () =>
    Effect.gen(function* () {
      const node = yield* startNode()
      const before = openSockets()
      yield* Effect.forEach(
        Array.from({ length: 200 }, (_, index) => index),
        (index) =>
          index % 2 === 0
            ? visitTls(node, { ALPNProtocols: alpn })
            : visit(node, (socket) => socket.write("GET / HTTP/1.1\r\n\r\n")),
        { concurrency: "unbounded", discard: true }
      )
      assert.strictEqual((yield* lines(node)).length, 1)
      yield* Effect.scoped(isWell(node, yield* incoming(node)))
      while (openSockets() > before)
        yield* Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
    })
  )
})

describe("who is at the other end", () => {
  it("is not asked of a session that was resumed, which shows the certificate of the first one", () => {
    const socket = new tls.TLSSocket(new net.Socket())
    const claim = (isReused: boolean) =>
      identify(Object.assign(socket, { isSessionReused: () => isReused, alpnProtocol: "kith/1" }))
    assert.deepStrictEqual(claim(true), { problem: "it resumed an old session" })
    assert.deepStrictEqual(claim(false), { problem: "it showed no certificate" })
    socket.destroy()
  })

  it("is known by an Ed25519 key alone, even where TLS let another in", () => {
    for (const { cert } of [Foreign.rsa, Foreign.p256]) {
      assert.match(JSON.stringify(idOfCertificate(new X509Certificate(cert))), /its key is (rsa|ec), not ed25519/)
    }
  })
})
