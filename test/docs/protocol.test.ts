/** docs/PROTOCOL.md and docs/protocol/ say what the program does: every vector, table of numbers and schema in them. */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createHash, createPublicKey, X509Certificate } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Duration from "effect/Duration"
import * as Protocol from "../../scripts/protocol-schemas.ts"
import { defaultPort, limits } from "../../src/config.ts"
import { format } from "../../src/schema/Address.ts"
import * as Announcement from "../../src/schema/Announcement.ts"
import * as Block from "../../src/schema/Block.ts"
import { Digests, WholeDigest } from "../../src/schema/Digests.ts"
import { EntryList } from "../../src/schema/EntryList.ts"
import * as Frame from "../../src/schema/Frame.ts"
import { Splitter } from "../../src/schema/FrameCodec.ts"
import { VerificationId } from "../../src/schema/Id.ts"
import * as Manifest from "../../src/schema/Manifest.ts"
import { blocksMax } from "../../src/schema/ManifestCheck.ts"
import { base32, fromDigest, grouped, PeerId, short } from "../../src/schema/PeerId.ts"
import * as RelativePath from "../../src/schema/RelativePath.ts"
import * as Ticket from "../../src/schema/Ticket.ts"
import * as Verify from "../../src/schema/Verify.ts"
import * as Text from "../../src/schema/Text.ts"
import { idOfCertificate, idOfKey } from "../../src/services/identity/Certificate.ts"

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..")
const page = readFileSync(join(root, "docs", "PROTOCOL.md"), "utf8")

/** Fenced blocks by kind and name. */
const blocks = new Map(
  [...page.matchAll(/^```(hex|json|text) ([a-z-]+)\n([^`]*)^```$/gm)].map((match) => [
    `${match[1]} ${match[2]}`,
    match[3] ?? ""
  ])
)
const seen = new Set<string>()

const block = (kind: "hex" | "json" | "text", name: string): string => {
  const text = blocks.get(`${kind} ${name}`)
  assert.isDefined(text, `a block of ${kind} called ${name}`)
  seen.add(`${kind} ${name}`)
  return text ?? ""
}

const bytes = (name: string): Uint8Array => new Uint8Array(Buffer.from(block("hex", name).replace(/\s/g, ""), "hex"))
const json = (name: string): unknown => JSON.parse(block("json", name))

/** The rows of the table with these headings, cell by cell. */
const table = (...headings: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const head = `| ${headings.join(" | ")} |\n|${" --- |".repeat(headings.length)}\n`
  const rows = page
    .split(head)
    .slice(1)
    .flatMap((rest) => (rest.split("\n\n")[0] ?? "").trim().split("\n"))
  assert.isAbove(rows.length, 0, headings.join(", "))
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split(" | ")
      .map((cell) => cell.trim())
  )
}

const numbered = new Map(table("limit", "value").map(([name = "", value = ""]) => [name, Number(value)]))

/** 32 bytes of one value. */
const filled = (byte: number) => Verify.bytes32(new Uint8Array(32).fill(byte))

/** Examples of frames on control links, by name. */
const controlFrames = [
  "hello",
  "chat",
  "chat-receipt",
  "goodbye",
  "transfers",
  "offer",
  "offer-reply",
  "transfer-done",
  "verify-commit",
  "ticket-proof"
] as const

/** Examples of frames on data links, by name. */
const dataFrames = [
  "attach",
  "attach-reply",
  "want-page",
  "page",
  "taken",
  "want",
  "safe",
  "compare",
  "same",
  "entry-failed"
] as const

describe("PROTOCOL.md's test vectors", () => {
  it("the id of a key", () => {
    const spki = Buffer.from(bytes("spki"))
    const digest = createHash("sha256").update(spki).digest()
    assert.deepStrictEqual(new Uint8Array(digest), bytes("digest"))
    const id = fromDigest(digest)
    assert.deepStrictEqual(block("text", "id").trim().split("\n"), [id, grouped(id), short(id)])
    assert.strictEqual(idOfKey(createPublicKey({ key: spki, format: "der", type: "spki" })), id)
  })

  it("a certificate, made by hand", () => {
    const body = Buffer.concat([bytes("certificate-head"), bytes("spki")])
    const made = Buffer.concat([Buffer.from("3081ab", "hex"), body, Buffer.from("300506032b6570034100", "hex")])
    const whole = Buffer.from(bytes("certificate"))
    assert.strictEqual(whole.subarray(0, -64).toString("hex"), made.toString("hex"))
    const certificate = new X509Certificate(whole)
    assert.isTrue(certificate.verify(certificate.publicKey), "its signature is that of its key")
    assert.deepStrictEqual<unknown>(idOfCertificate(certificate), { id: idOfKey(certificate.publicKey) })
    assert.strictEqual(idOfKey(certificate.publicKey), block("text", "id").split("\n")[0])
    for (const hex of ["3081ab", "300506032b6570034100"]) assert.include(page, `\`${hex}\``)
  })

  for (const name of controlFrames) {
    it(`a control frame: ${name}`, () => {
      const splitter = new Splitter(Frame.helloMaxBytes)
      splitter.push(bytes(name))
      const body = Result.getOrThrow(splitter.next()) ?? new Uint8Array()
      assert.strictEqual(splitter.buffered, 0)
      const decoded = Result.getOrThrow(Frame.decode(body))
      assert.isTrue(decoded._tag === "Known")
      if (decoded._tag !== "Known") return
      assert.deepStrictEqual<unknown>(decoded.frame, json(name))
      assert.deepStrictEqual(Frame.encode(decoded.frame), bytes(name))
    })
  }

  for (const name of dataFrames) {
    it(`a frame record: ${name}`, () => {
      const record = bytes(name)
      const header = Result.getOrThrow(Block.decodeHeader(record))
      assert.deepStrictEqual(header, { kind: "frame", length: record.length - Block.headerBytes })
      const decoded = Result.getOrThrow(Block.decode(record.subarray(Block.headerBytes)))
      assert.isTrue(decoded._tag === "Known")
      if (decoded._tag !== "Known") return
      assert.deepStrictEqual<unknown>(decoded.frame, json(name))
      assert.deepStrictEqual(Block.encodeFrame(decoded.frame), record)
    })
  }

  it("a block record", () => {
    const record = bytes("block")
    const content = record.subarray(Block.headerBytes + Block.blockHeadBytes)
    assert.strictEqual(Block.headerBytes + Block.blockHeadBytes, 45)
    assert.strictEqual(Buffer.from(content).toString(), "hello\n")
    const digest = new Uint8Array(createHash("sha256").update(content).digest())
    const head = { number: 4294967297, digest }
    assert.deepStrictEqual(Result.getOrThrow(Block.decodeHeader(record)), { kind: "block", length: 46 })
    assert.deepStrictEqual(Result.getOrThrow(Block.decodeBlockHead(record.subarray(Block.headerBytes))), head)
    assert.deepStrictEqual(Block.encodeBlockHead({ ...head, length: 6 }), record.slice(0, 45))
  })

  it("digests of files", () => {
    const contents = [Buffer.from("hello\n"), Buffer.alloc(1_048_577), Buffer.alloc(0)]
    const list = new EntryList(0)
    const digests = new Digests()
    const whole = new WholeDigest(list, digests)
    const found = contents.map((content, at) => {
      const path = RelativePath.RelativePath.make(`f${at}`)
      list.append({ path, kind: "f", size: content.length, mtime: 0, executable: false })
      for (let number = list.firstBlock(at); number < list.totals.blocks; number++) {
        const { length, offset } = list.place(number) ?? { length: 0, offset: 0 }
        digests.set(
          number,
          createHash("sha256")
            .update(content.subarray(offset, offset + length))
            .digest()
        )
      }
      whole.add(at)
      return digests.over(list.firstBlock(at), list.blockCount(at))
    })
    const of = base32(whole.bytes ?? new Uint8Array())
    assert.deepStrictEqual(block("text", "digests").trim().split("\n"), [...found, of])
  })

  it("an announcement", () => {
    const decoded = Option.getOrThrow(Announcement.decode(bytes("announcement")))
    assert.deepStrictEqual<unknown>(decoded, json("announcement"))
    assert.deepStrictEqual(Announcement.encode(decoded), bytes("announcement"))
  })

  const [peer = ""] = (blocks.get("text id") ?? "").split("\n")
  const first = PeerId.make(peer)
  const second = PeerId.make("a".repeat(52))

  it("words to compare", () => {
    const [verification = "", commitment, words] = block("text", "words").trim().split("\n")
    assert.deepInclude(json("verify-commit"), { verification, commitment })
    const binding = filled(3)
    const comparison = { verification: VerificationId.make(verification), initiator: first, responder: second, binding }
    assert.strictEqual(Verify.commit(comparison, filled(1)), commitment)
    assert.strictEqual(Verify.words(comparison, { initiator: filled(1), responder: filled(2) }).join(" "), words)
  })

  it("a ticket", () => {
    const [text = "", id, ofJoiner, ofInviter] = block("text", "ticket").trim().split("\n")
    assert.deepInclude(json("ticket-proof"), { ticket: id, proof: ofJoiner })
    const secret = base32(new Uint8Array(16).fill(4))
    const ticket = Result.getOrThrow(Ticket.parse(text))
    assert.strictEqual(Ticket.format(ticket), text)
    assert.strictEqual(ticket.id, first)
    assert.strictEqual(Redacted.value(ticket.secret), secret)
    assert.strictEqual(ticket.expires, 1_767_225_600_000)
    assert.deepStrictEqual(ticket.addresses.map(format), ["192.0.2.7:9090", "[2001:db8::1]:9091", "laptop.local:9092"])
    const key = Ticket.keyOf(ticket.secret)
    const meeting = { inviter: first, joiner: second, binding: filled(3) }
    assert.strictEqual(key.ticket, id)
    assert.strictEqual(Ticket.prove(key, "joiner", meeting), ofJoiner)
    assert.strictEqual(Ticket.prove(key, "inviter", meeting), ofInviter)
  })

  it("a session in which one file comes has frames that there are, in this order", () => {
    const lines = block("text", "transcript").trimEnd().split("\n")
    for (const line of lines) {
      const [, indent = "", tag = ""] = /^( *)[<>] ([A-Za-z]+)$/.exec(line) ?? assert.fail(line)
      const known = indent === "" ? Object.keys(Frame.Frame.cases) : [...Object.keys(Block.DataFrame.cases), "block"]
      assert.include(known, tag)
    }
  })

  it("there is none that nothing checks", () => {
    assert.deepStrictEqual([...blocks.keys()].toSorted(), [...seen].toSorted())
  })
})

describe("PROTOCOL.md's numbers", () => {
  it("limits of the wire", () => {
    const constants: Record<string, unknown> = {
      ...Announcement,
      ...Block,
      ...Frame,
      ...Manifest,
      ...RelativePath,
      ...Text,
      blocksMax
    }
    const named = [...numbered].filter(([name]) => name.startsWith("`"))
    assert.isAbove(named.length, 10)
    for (const [name, value] of named) assert.strictEqual(constants[name.slice(1, -1)], value, name)
  })

  it("habits", () => {
    const seconds = Duration.toSeconds
    const habits: Record<string, number> = {
      "unfinished TLS handshakes worked on at once, in all": limits.handshakesMax,
      "the same, from one address": limits.handshakesPerAddressMax,
      "connections that wait for their turn": limits.handshakesWaitingMax,
      "unfinished transfers from one peer": limits.transfersMax,
      "messages that wait for one peer": limits.outboxMax,
      "peers with whom there was a session": limits.peersMax,
      "seconds for a TLS handshake": seconds(limits.tlsHandshake),
      "seconds for a Hello or Attach": seconds(limits.hello),
      "seconds of quiet before a Ping": seconds(limits.heartbeat),
      "seconds of quiet before a Ping of the side that was dialled": seconds(limits.heartbeatAccepted),
      "seconds of quiet before another link is dialled": seconds(limits.doubtful),
      "seconds of quiet before the link is given up": seconds(limits.dead),
      "seconds without movement before a data link is given up": seconds(limits.stalled),
      "hours before an offer that nobody answers is declined": Duration.toHours(limits.offerExpires)
    }
    for (const [name, value] of numbered) if (!name.startsWith("`")) assert.strictEqual(habits[name], value, name)
    for (const name of Object.keys(habits)) assert.isTrue(numbered.has(name), name)
  })

  it("blocks", () => {
    for (const [size, block, count] of table("bytes in the file", "block size", "blocks")) {
      assert.strictEqual(Manifest.blockSize(Number(size)), Number(block), `size of the blocks of ${size}`)
      assert.strictEqual(Manifest.blockCount(Number(size)), Number(count), `blocks of ${size}`)
    }
  })

  it("ports, groups and version", () => {
    assert.include(page, `UDP datagrams to port ${defaultPort} `)
    assert.include(page, Announcement.multicastGroups.IPv4)
    assert.include(page, Announcement.multicastGroups.IPv6)
    assert.include(page, `"major": ${Frame.version.major}, "minor": ${Frame.version.minor}`)
    assert.include(page, `# The Kith protocol, version ${Frame.version.major}.${Frame.version.minor}`)
  })
})

/** Names of fields in a cell; those inside braces belong to a field. */
const fields = (cell: string) =>
  [...cell.replace(/\{[^}]*\}/g, "").matchAll(/`([a-zA-Z]+)(?::[^`]*)?`/g)].map((match) => match[1] ?? "")

describe("PROTOCOL.md's tables of frames", () => {
  it("name every frame and field of a control link", () => {
    const rows = table("frame", "fields", "meaning")
    assert.deepStrictEqual(
      rows.map(([tag = ""]) => tag.slice(1, -1)),
      Object.keys(Frame.Frame.cases)
    )
    for (const [tag = "", cell = ""] of rows) {
      const schema = new Map<string, { readonly fields: object }>(Object.entries(Frame.Frame.cases)).get(
        tag.slice(1, -1)
      )
      for (const field of Object.keys(schema?.fields ?? {})) {
        if (field !== "_tag") assert.include(fields(cell), field, tag)
      }
    }
  })

  it("name every frame and field of a data link", () => {
    const rows = table("frame", "from", "fields", "meaning")
    assert.deepStrictEqual(
      rows.map(([tag = ""]) => tag.slice(1, -1)),
      Object.keys(Block.DataFrame.cases)
    )
    for (const [tag = "", , cell = ""] of rows) {
      const schema = new Map<string, { readonly fields: object }>(Object.entries(Block.DataFrame.cases)).get(
        tag.slice(1, -1)
      )
      assert.deepStrictEqual(
        fields(cell),
        Object.keys(schema?.fields ?? {}).filter((field) => field !== "_tag"),
        tag
      )
    }
  })

  it("name every field of an announcement", () => {
    assert.deepStrictEqual(
      table("field", "meaning").map(([field = ""]) => field.slice(1, -1)),
      Object.keys(Announcement.Announcement.fields)
    )
  })

  it("links lead somewhere", () => {
    const anchors = new Set(
      [...page.matchAll(/^#+ (.*)$/gm)].map((match) =>
        (match[1] ?? "")
          .toLowerCase()
          .replace(/[^a-z0-9 -]/g, "")
          .replaceAll(" ", "-")
      )
    )
    for (const [, target = ""] of page.matchAll(/\]\(([^)]+)\)/g)) {
      if (target.startsWith("#")) assert.isTrue(anchors.has(target.slice(1)), target)
      else assert.isTrue(existsSync(join(root, "docs", target)), target)
    }
  })
})

/** The definitions in one of the generated files. */
const definitions = (name: string) =>
  Schema.decodeUnknownSync(
    Schema.Struct({
      $defs: Schema.Record(
        Schema.String,
        Schema.Struct({
          required: Schema.Array(Schema.String),
          properties: Schema.Record(Schema.String, Schema.Json)
        })
      )
    })
  )(JSON.parse(Protocol.files.get(name) ?? "")).$defs

describe("docs/protocol", () => {
  it("is what scripts/protocol-schemas.ts makes: run it with `npx node scripts/protocol-schemas.ts`", () => {
    assert.deepStrictEqual(readdirSync(Protocol.directory).toSorted(), [...Protocol.files.keys()].toSorted())
    for (const [name, text] of Protocol.files) {
      assert.strictEqual(readFileSync(join(Protocol.directory, name), "utf8"), text, name)
    }
  })

  it("has a definition for every frame, and every vector fits its own", () => {
    const control = definitions("control-frames.json")
    const data = definitions("data-frames.json")
    assert.deepStrictEqual(Object.keys(control), Object.keys(Frame.Frame.cases))
    assert.deepStrictEqual(Object.keys(data), Object.keys(Block.DataFrame.cases))
    const Tagged = Schema.Record(Schema.String, Schema.Json)
    for (const name of [...controlFrames, ...dataFrames]) {
      const value = Schema.decodeUnknownSync(Tagged)(json(name))
      const definition = control[String(value["_tag"])] ?? data[String(value["_tag"])]
      assert.includeMembers(Object.keys(value), [...(definition?.required ?? ["a definition"])])
      assert.includeMembers(Object.keys(definition?.properties ?? {}), Object.keys(value))
    }
  })
})
