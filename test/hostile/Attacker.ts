/**
 * A peer that keeps no rule: raw TCP, TLS with a key of its own, frames and records written by hand. None of the
 * node's own code is used, so that a fault there cannot hide itself. Everything opened here is closed by `end`.
 */
import { createHash } from "node:crypto"
import * as net from "node:net"
import * as tls from "node:tls"
import { type Persona, persona, randomId } from "./Forge.ts"

/** Nothing is waited for longer than this, so that a test that fails says what did not come. */
const patience = 10_000

const within = <A>(what: string, promise: Promise<A>, wait = patience): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${wait} ms`)), wait)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

const asBytes = (body: unknown): Uint8Array => {
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === "string" ? body : (JSON.stringify(body) ?? "null"))
}

/** JSON as a frame; a string, or bytes, is taken as the body as it is. */
export const framed = (body: unknown): Buffer => {
  const bytes = asBytes(body)
  const head = Buffer.alloc(4)
  head.writeUInt32BE(bytes.length)
  return Buffer.concat([head, bytes])
}

/** JSON as a record of a data link. */
export const record = (body: unknown): Buffer => Buffer.concat([Buffer.of(1), framed(body)])

/** A block record: right unless told otherwise. */
export const block = (number: number, bytes: Uint8Array, digest?: Uint8Array): Buffer => {
  const head = Buffer.alloc(13)
  head[0] = 2
  head.writeUInt32BE(40 + bytes.length, 1)
  head.writeBigUInt64BE(BigInt(number), 5)
  return Buffer.concat([head, digest ?? createHash("sha256").update(bytes).digest(), bytes])
}

export type Json = { readonly _tag: string; readonly [field: string]: unknown }

/** A TCP connection, and what came of it. */
export class Raw {
  readonly socket: net.Socket
  received = Buffer.alloc(0)
  /** Resolves when it is over, with how long it lived, in milliseconds. */
  readonly closed: Promise<number>

  constructor(socket: net.Socket) {
    const began = performance.now()
    this.socket = socket
    socket.on("error", () => {})
    socket.on("data", (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])))
    this.closed = new Promise((resolve) => socket.once("close", () => resolve(performance.now() - began)))
  }

  end(): void {
    this.socket.destroy()
  }
}

export const connectRaw = (port: number, host = "127.0.0.1"): Promise<Raw> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ port, host })
    const raw = new Raw(socket)
    socket.once("connect", () => resolve(raw))
    socket.once("error", reject)
  })

/** One TLS link with the node, cut into frames (control) or records (data). */
export class Link {
  readonly socket: tls.TLSSocket
  /** Everything the other side said, in order. */
  readonly heard: Array<Json> = []
  readonly closed: Promise<void>
  isClosed = false
  private readonly isData: boolean
  private buffer = Buffer.alloc(0)
  private taken = 0
  private readonly waiting = new Set<() => void>()
  private nonce = 0
  /** What to do with each record of a data link. */
  onRecord: ((json: Json) => void) | undefined

  constructor(socket: tls.TLSSocket, protocol: "kith/1" | "kith-data/1") {
    this.socket = socket
    this.isData = protocol === "kith-data/1"
    socket.on("error", () => {})
    socket.on("data", (chunk: Buffer) => this.take(chunk))
    this.closed = new Promise((resolve) =>
      socket.once("close", () => {
        this.isClosed = true
        resolve()
        this.waiting.forEach((look) => look())
      })
    )
  }

  /** Bytes as they are. Resolves when the kernel has them, or the link is gone. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => void this.socket.write(bytes, () => resolve()))
  }

  say(json: unknown): Promise<void> {
    return this.write(this.isData ? record(json) : framed(json))
  }

  /** The next of this kind, in order; earlier ones of other kinds are passed over. */
  async next(tag: string, wanted: (json: Json) => boolean = () => true): Promise<Json> {
    const heard = new Promise<Json>((resolve, reject) => {
      const look = () => {
        while (this.taken < this.heard.length) {
          const json = this.heard[this.taken++]
          if (json !== undefined && json._tag === tag && wanted(json)) {
            this.waiting.delete(look)
            return resolve(json)
          }
        }
        if (!this.isClosed) return
        this.waiting.delete(look)
        reject(new Error(`the link ended before a ${tag}: heard ${this.heard.map(({ _tag }) => _tag).join(" ")}`))
      }
      this.waiting.add(look)
      look()
    })
    return within(`a ${tag}`, heard)
  }

  /** Resolves once the node has dealt with all that was written; rejects if it hung up. */
  async settled(): Promise<void> {
    const nonce = ++this.nonce
    await this.say({ _tag: "Ping", nonce })
    await this.next("Pong", (pong) => pong["nonce"] === nonce)
  }

  /** The reason of the Goodbye after which the node hung up, or "" if it said none. */
  async farewell(): Promise<string> {
    await within("the end of the link", this.closed)
    const last = this.heard.at(-1)
    return last?._tag === "Goodbye" ? String(last["reason"]) : ""
  }

  end(): void {
    this.socket.destroy()
  }

  private take(chunk: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, chunk])
    const skip = this.isData ? 1 : 0
    while (this.buffer.length >= skip + 4) {
      const length = this.buffer.readUInt32BE(skip)
      if (this.buffer.length < skip + 4 + length) break
      const body = this.buffer.subarray(skip + 4, skip + 4 + length)
      const json: Json = this.buffer[0] === 2 && this.isData ? { _tag: "Block", body } : JSON.parse(body.toString())
      this.buffer = this.buffer.subarray(skip + 4 + length)
      this.heard.push(json)
      if (json._tag === "Ping") void this.say({ _tag: "Pong", nonce: json["nonce"] })
      this.onRecord?.(json)
    }
    this.waiting.forEach((look) => look())
  }
}

export interface Dial {
  readonly who?: Persona
  readonly alpn?: ReadonlyArray<string>
  readonly host?: string
  readonly options?: tls.ConnectionOptions & Pick<net.TcpSocketConnectOpts, "localAddress">
}

/** A TLS link to the node, as soon as this side thinks that it is up. */
export const connect = (port: number, dial: Dial = {}): Promise<Link> =>
  new Promise((resolve, reject) => {
    const alpn = dial.alpn ?? ["kith/1"]
    const who = dial.who
    const socket = tls.connect({
      host: dial.host ?? "127.0.0.1",
      port,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ALPNProtocols: [...alpn],
      ...(who === undefined ? {} : { key: who.key, cert: who.cert }),
      ...dial.options
    })
    const link = new Link(socket, alpn[0] === "kith-data/1" ? "kith-data/1" : "kith/1")
    socket.once("secureConnect", () => resolve(link))
    socket.once("error", reject)
    socket.once("close", () => reject(new Error("it hung up during the handshake")))
  })

/** A Hello of this persona, with any field replaced. */
export const hello = (who: Persona, fields: Record<string, unknown> = {}): Json => ({
  _tag: "Hello",
  version: { major: 1, minor: 0 },
  features: [],
  id: who.id,
  instance: randomId(),
  name: "mallory",
  port: 4,
  ...fields
})

export type Entry = readonly [path: unknown, kind: unknown, size: unknown, mtime: unknown, executable: unknown]

/** The last page of a list, with the sums that its entries give unless told otherwise. */
export const page = (entries: ReadonlyArray<Entry>, totals: Record<string, unknown> = {}, number = 0): Json => {
  const files = entries.filter(([, kind]) => kind === "f")
  const sizes = files.map(([, , size]) => Number(size))
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  const blocks = sizes.reduce((sum, size) => sum + Math.ceil(size / 1_048_576), 0)
  const directories = entries.length - files.length
  return { _tag: "Page", page: number, entries, totals: { files: files.length, directories, bytes, blocks, ...totals } }
}

/**
 * A session with the node, and a listener that it dials for data links. What it asks for there is answered by
 * `answer`, with whatever bytes the test likes.
 */
export class Mallory {
  readonly who: Persona
  readonly control: Link
  readonly port: number
  /** Data links that the node opened here, in order. */
  readonly lanes: Array<Link> = []
  private readonly server: tls.Server
  /** Bytes in answer to each thing that the node asks; undefined: none. */
  answer: (asked: Json, lane: Link) => Buffer | undefined = () => undefined

  private constructor(who: Persona, control: Link, server: tls.Server, port: number) {
    this.who = who
    this.control = control
    this.server = server
    this.port = port
  }

  static async meet(port: number, who: Persona = persona(), fields: Record<string, unknown> = {}): Promise<Mallory> {
    const lanes: Array<(lane: Link) => void> = []
    const server = tls.createServer({
      key: who.key,
      cert: who.cert,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ["kith/1", "kith-data/1"]
    })
    server.on("tlsClientError", () => {})
    server.on("secureConnection", (socket) => {
      const lane = new Link(socket, socket.alpnProtocol === "kith-data/1" ? "kith-data/1" : "kith/1")
      lanes.forEach((take) => take(lane))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    const own = typeof address === "object" && address !== null ? address.port : 0
    const control = await connect(port, { who })
    await control.say(hello(who, { port: own, ...fields }))
    await control.next("Hello")
    const mallory = new Mallory(who, control, server, own)
    lanes.push((lane) => mallory.serve(lane))
    return mallory
  }

  /** Offers something and returns the transfer's id. */
  async offer(fields: Record<string, unknown> = {}): Promise<string> {
    const transfer = randomId()
    await this.control.say({
      _tag: "Offer",
      transfer,
      group: randomId(),
      name: "gift",
      files: 1,
      directories: 0,
      bytes: 1,
      ...fields
    })
    return transfer
  }

  /** Offers this list; returns the id. Pages beyond it are not answered. */
  offerPages(pages: ReadonlyArray<unknown>, blocks?: (asked: Json, lane: Link) => Buffer | undefined): Promise<string> {
    this.answer = (asked, lane) => {
      if (asked._tag === "WantPage") {
        const found = pages[Number(asked["page"])]
        return found === undefined ? undefined : Buffer.isBuffer(found) ? found : record(found)
      }
      return blocks?.(asked, lane)
    }
    return this.offer()
  }

  private serve(lane: Link): void {
    this.lanes.push(lane)
    lane.onRecord = (json) => {
      if (json._tag === "Attach") void lane.say({ _tag: "AttachReply", accepted: true, reason: "" })
      const bytes = this.answer(json, lane)
      if (bytes !== undefined) void lane.write(bytes)
    }
  }

  end(): void {
    this.control.end()
    for (const lane of this.lanes) lane.end()
    this.server.close()
  }
}
