/**
 * Decoders under bytes that nobody sends on purpose: arbitrary ones, and valid ones with a few changes. A decoder gives
 * a verdict, quickly, and never throws. One seed is one sequence of inputs. Used by fuzz.test.ts and scripts/fuzz.ts.
 */
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import * as Address from "../../src/schema/Address.ts"
import * as Announcement from "../../src/schema/Announcement.ts"
import * as Block from "../../src/schema/Block.ts"
import * as Frame from "../../src/schema/Frame.ts"
import { Splitter } from "../../src/schema/FrameCodec.ts"
import { ManifestCheck } from "../../src/schema/ManifestCheck.ts"
import { GroupId, Instance } from "../../src/schema/Id.ts"
import { encode as encodeRecord, replay } from "../../src/schema/Journal.ts"
import * as PeerIds from "../../src/schema/PeerId.ts"
import * as RelativePath from "../../src/schema/RelativePath.ts"
import { inert, inertLines } from "../../src/schema/Text.ts"
import * as Ticket from "../../src/schema/Ticket.ts"

export interface Decoder {
  readonly name: string
  /** Takes anything; what it must hold to is checked within. */
  readonly run: (input: Uint8Array) => void
  /** Inputs that it accepts. */
  readonly valid: ReadonlyArray<Uint8Array>
}

/** xorshift128+: fast, and the same for the same seed. */
export class Chance {
  private a: number
  private b: number

  constructor(seed: number) {
    this.a = (seed ^ 0x9e37_79b9) >>> 0 || 1
    this.b = Math.imul(seed + 1, 0x85eb_ca6b) >>> 0 || 2
  }

  /** From 0 to below `limit`. */
  below(limit: number): number {
    let x = this.a
    const y = this.b
    this.a = y
    x ^= x << 23
    this.b = (x ^ y ^ (x >>> 17) ^ (y >>> 26)) >>> 0
    return ((this.b + y) >>> 0) % limit
  }
}

const text = new TextEncoder()
const utf8 = new TextDecoder()

/** What parsers choke on. */
const tokens = [
  '"',
  "\\",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "null",
  "true",
  "-0",
  "1e999",
  "9007199254740993",
  "-1",
  "\\ud800",
  "\\u0000",
  '"__proto__":',
  '"_tag":',
  "..",
  "/",
  "\u202e",
  "\ufeff",
  "\u0000",
  "C:",
  "\n",
  "e\u0301",
  "[[[[[[[[",
  "2147483648"
].map((token) => text.encode(token))

const arbitrary = (chance: Chance): Uint8Array => {
  const bytes = new Uint8Array(chance.below(chance.below(8) === 0 ? 2000 : 64))
  for (let at = 0; at < bytes.length; at++) bytes[at] = chance.below(256)
  return bytes
}

const changed = (from: Uint8Array, chance: Chance, other: Uint8Array): Uint8Array => {
  let bytes = Buffer.from(from)
  for (let changes = 1 + chance.below(6); changes > 0; changes--) {
    const at = chance.below(bytes.length + 1)
    const token = tokens[chance.below(tokens.length)] ?? bytes
    switch (chance.below(8)) {
      case 0:
        bytes[at] = chance.below(256)
        break
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << chance.below(8))
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), token, bytes.subarray(at)])
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), token, bytes.subarray(at + token.length)])
        break
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + chance.below(16))])
        break
      case 5:
        bytes = bytes.subarray(0, at)
        break
      case 6:
        bytes = Buffer.concat([bytes, bytes.subarray(at)])
        break
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(chance.below(other.length + 1))])
    }
    if (bytes.length > 100_000) break
  }
  return bytes
}

/** The next input for a decoder. */
export const input = (decoder: Decoder, chance: Chance): Uint8Array => {
  const [one, other] = [0, 1].map(() => decoder.valid[chance.below(decoder.valid.length)] ?? new Uint8Array())
  if (one === undefined || other === undefined || chance.below(6) === 0) return arbitrary(chance)
  return changed(one, chance, other)
}

const check = (fact: boolean, what: string): void => {
  if (!fact) throw new Error(what)
}

const id26 = "aeiscmkbkfqxdamrugy4dupb6e"
const id52 = "a3r73d62fg5wbk2zkv66mhw3blwnwiyrgs7dbz23ivpy4g3zf6uq"
const secret = "a".repeat(52)

const frames: ReadonlyArray<unknown> = [
  {
    _tag: "Hello",
    version: { major: 1, minor: 0 },
    features: ["x"],
    id: id52,
    instance: id26,
    name: "Zoë",
    port: 9090
  },
  { _tag: "Ping", nonce: 1 },
  { _tag: "Goodbye", reason: "shutdown", message: "bye" },
  { _tag: "Refused", frame: "Chat", reason: "no" },
  { _tag: "Chat", id: id26, epoch: id26, first: 1, seq: 2, toEveryone: false, sentAt: 1, text: "café 😀\n\u0001" },
  { _tag: "ChatReceipt", epoch: id26, seq: 2, state: "delivered" },
  { _tag: "Transfers", unfinished: [{ transfer: id26, role: "send" }] },
  { _tag: "Offer", transfer: id26, group: id26, name: "x", files: 1, directories: 0, bytes: 5 },
  { _tag: "TransferDone", transfer: id26, outcome: "partial", failed: [{ path: "a/b", reason: "gone" }], error: "" },
  { _tag: "VerifyCommit", verification: id26, commitment: secret },
  { _tag: "TicketProof", ticket: id26, proof: secret }
]

const entries = [
  ["photos", "d", 0, 1, 0],
  ["photos/café.jpg", "f", 1_048_577, 1, 0],
  ["run.sh", "f", 6, -1, 1]
]
const totals = { files: 2, directories: 1, bytes: 1_048_583, blocks: 3 }

const dataFrames: ReadonlyArray<unknown> = [
  { _tag: "Attach", transfer: id26, lane: 0, attempt: 1 },
  { _tag: "AttachReply", accepted: true, reason: "" },
  { _tag: "Page", page: 0, entries, totals },
  { _tag: "Want", first: 0, count: 3 },
  { _tag: "Safe", ranges: [[0, 2]] },
  { _tag: "EntryFailed", entry: 1, reason: "gone" }
]

const bodies = (values: ReadonlyArray<unknown>): Array<Uint8Array> =>
  values.map((value) => text.encode(JSON.stringify(value)))

const withLength = (body: Uint8Array): Uint8Array => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length)
  return Buffer.concat([head, body])
}

const ticket = Ticket.format({
  id: PeerIds.PeerId.make(id52),
  addresses: [Address.tcp("192.0.2.1", 9090), Address.tcp("fe80::1", 1), Address.tcp("host.example", 65_535)],
  secret: Redacted.make(id26),
  expires: 1_800_000_000_000
})

const journal = Buffer.concat([
  encodeRecord({ _tag: "Gathered", version: 1, group: GroupId.make(id26) }),
  encodeRecord({ _tag: "Picked", as: "a", path: "/a", name: "a", kind: "f" }),
  encodeRecord({ _tag: "Staged", root: "/received", staging: id26 })
])

const isPeerId = Schema.is(PeerIds.PeerId)
const isPath = Schema.is(RelativePath.RelativePath)

export const decoders: ReadonlyArray<Decoder> = [
  {
    name: "control frame",
    valid: bodies(frames),
    run: (bytes) => {
      const result = Frame.decode(bytes)
      if (Result.isSuccess(result) && result.success._tag === "Known") {
        const again = Frame.decode(Frame.encode(result.success.frame).subarray(4))
        check(Result.isSuccess(again) && again.success._tag === "Known", "what was decoded does not come back")
      }
    }
  },
  {
    name: "frames in a stream",
    valid: [Buffer.concat(bodies(frames).map(withLength)), ...bodies(frames).map(withLength)],
    run: (bytes) => {
      const splitter = new Splitter(Frame.helloMaxBytes)
      for (let at = 0; at < bytes.length; at += 100) {
        splitter.push(bytes.subarray(at, at + 100))
        for (let next = splitter.next(); ; next = splitter.next()) {
          if (Result.isFailure(next)) return
          if (next.success === undefined) break
          check(next.success.length > 0 && next.success.length <= Frame.helloMaxBytes, "a body out of bounds")
        }
        check(splitter.buffered <= Frame.helloMaxBytes + 104, "more is kept than may come")
      }
    }
  },
  { name: "data frame", valid: bodies(dataFrames), run: (bytes) => void Block.decode(bytes) },
  {
    name: "record head",
    valid: [
      Block.encodeBlockHead({ number: 7, digest: new Uint8Array(32), length: 5 }),
      Block.encodeFrame({ _tag: "Want", first: 0, count: 1 })
    ],
    run: (bytes) => {
      const header = Block.decodeHeader(bytes)
      if (Result.isSuccess(header)) check(header.success.length > 0 && header.success.length < 2 ** 23, "a long record")
      void Block.decodeBlockHead(bytes.subarray(5))
    }
  },
  {
    name: "manifest page",
    valid: bodies(dataFrames.slice(2, 3)),
    run: (bytes) => {
      const page = Block.decode(bytes)
      if (Result.isFailure(page) || page.success._tag !== "Known" || page.success.frame._tag !== "Page") return
      const list = new ManifestCheck({ seed: 1, memoryMax: 1_000_000 })
      if (list.add({ ...page.success.frame, page: 0 }) !== undefined) return
      void list.clash(0, list.entries.length)
      const paths = new Set<string>()
      for (let at = 0; at < list.entries.length; at++) {
        const path = list.entries.path(at)
        check(!paths.has(path), "a path twice")
        check(!path.split("/").some((part) => part === ".." || part === "." || part === ""), "a path that climbs")
        check(!path.startsWith("/") && !path.includes("\\") && inert(path).length > 0, "a path that is not sound")
        paths.add(path)
      }
    }
  },
  {
    name: "announcement",
    valid: [
      Announcement.encode({
        kith: 1,
        kind: "announce",
        id: PeerIds.PeerId.make(id52),
        instance: Instance.make(id26),
        name: "x",
        port: 9090,
        reply: 40_001
      })
    ],
    run: (bytes) => {
      const padded = bytes.length < 512 ? Buffer.concat([bytes, Buffer.alloc(512 - bytes.length, 0x20)]) : bytes
      for (const datagram of [bytes, padded]) {
        const heard = Announcement.decode(datagram)
        if (Option.isSome(heard)) check(Announcement.encode(heard.value).length === 512, "an answer of another size")
      }
    }
  },
  {
    name: "path",
    valid: ["a/b/c.txt", "photos/ünïcode 🏔/deep", ".hidden", "-rf", "a:b"].map((path) => text.encode(path)),
    run: (bytes) => {
      const path = utf8.decode(bytes)
      if (!isPath(path)) return
      check(!path.split("/").includes("..") && !path.startsWith("/") && !path.includes("\u0000"), "it climbs")
      check(RelativePath.top(path) !== "" && !RelativePath.top(path).includes("/"), "it has no top")
    }
  },
  {
    name: "address",
    valid: ["127.0.0.1:9090", "[::1]:9090", "[fe80::1%eth0]:1", "host.example:65535", "host"].map((each) =>
      text.encode(each)
    ),
    run: (bytes) => void Address.parse(utf8.decode(bytes))
  },
  {
    name: "peer id",
    valid: [id52].map((each) => text.encode(each)),
    run: (bytes) => {
      const id = utf8.decode(bytes)
      if (isPeerId(id)) check(PeerIds.base32(PeerIds.fromBase32(id)) === id, "one id in two spellings")
    }
  },
  {
    name: "ticket",
    valid: [text.encode(ticket)],
    run: (bytes) => {
      const parsed = Ticket.parse(utf8.decode(bytes))
      if (Result.isSuccess(parsed)) check(Ticket.format(parsed.success) === ticket, "a ticket that nobody made")
    }
  },
  {
    name: "journal",
    valid: [journal],
    run: (bytes) => void replay(bytes)
  },
  {
    name: "shown text",
    valid: ["plain", "\u001b[31mred\u202etxt", "line\n\tline"].map((each) => text.encode(each)),
    run: (bytes) => {
      const shown = inert(utf8.decode(bytes))
      // oxlint-disable-next-line no-control-regex -- finding control characters is the point
      check(!/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/.test(shown), "it moves a terminal")
      // oxlint-disable-next-line no-control-regex -- finding control characters is the point
      check(!/[\u0000-\u0008\u000b-\u001f\u202e]/.test(inertLines(utf8.decode(bytes))), "its lines move a terminal")
    }
  }
]

export interface Fault {
  readonly decoder: string
  readonly input: string
  readonly problem: string
}

/** No input may take a decoder longer than this, in milliseconds; a pause of the machine is looked at twice. */
export const slowest = 50

/** Runs one input; what is wrong with it, if anything. */
export const probe = (decoder: Decoder, bytes: Uint8Array): Fault | undefined => {
  const fault = (problem: string): Fault => ({
    decoder: decoder.name,
    input: Buffer.from(bytes).toString("hex"),
    problem
  })
  try {
    for (let tries = 0; ; tries++) {
      const began = performance.now()
      decoder.run(bytes)
      const took = performance.now() - began
      if (took <= slowest) return undefined
      if (tries === 3) return fault(`it took ${Math.round(took)} ms`)
    }
  } catch (cause) {
    return fault(String(cause))
  }
}

export const freshSeed = (): number => randomBytes(4).readUInt32BE()
