// A second node, written from docs/PROTOCOL.md alone, in the order of its sections: plain JavaScript, Node's own
// modules, no line shared with the program. It announces itself, keeps sessions with those who dial, chats and takes
// files. Extras are dialling.js, going-on.js and offering.js. What happens it tells as lines of JSON on stdout.
import crypto from "node:crypto"
import dgram from "node:dgram"
import fs from "node:fs"
import path from "node:path"
import tls from "node:tls"

/** What the extras change: what is written for a frame, who hears of a node, which of two links to it stays. */
export const options = { name: "Other", received: "received", said: (body) => [body], heard() {}, attached() {} }
export const tell = (event, fields) => void process.stdout.write(JSON.stringify({ event, ...fields }) + "\n")
export const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest()
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const base32 = (bytes) => {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("")
  return bits.replace(/.{1,5}/g, (five) => "abcdefghijklmnopqrstuvwxyz234567"[parseInt(five.padEnd(5, "0"), 2)])
}
export const randomId = () => base32(crypto.randomBytes(16))

// 1. Identity: a key, its id, and the certificate that carries it
const { publicKey, privateKey } = crypto.generateKeyPairSync("ed25519")
const spki = (key) => key.export({ type: "spki", format: "der" })
const idOf = (key) => base32(sha256(spki(key)))
export const [me, instance] = [idOf(publicKey), randomId()]
const before =
  "305fa003020102020101300506032b65703000301e170d3230303130313030303030305a170d3439303130313030303030305a3000"
const body = Buffer.concat([Buffer.from(before, "hex"), spki(publicKey)])
const signature = Buffer.concat([Buffer.from("300506032b6570034100", "hex"), crypto.sign(null, body, privateKey)])
const certificate = Buffer.concat([Buffer.from("3081ab", "hex"), body, signature]).toString("base64")
const cert = `-----BEGIN CERTIFICATE-----\n${certificate}\n-----END CERTIFICATE-----\n`

// 2. Discovery, by broadcast on the loopback
const who = () => ({ id: me, instance, name: options.name, port: listener.address().port })
export const discover = (shared) => {
  const known = new Set() // id and instance
  const hear = (bytes, from) => {
    if (bytes.length < 512 || bytes.length > 1200) return
    try {
      const { kith, kind, id, instance, name, port, reply } = JSON.parse(utf8.decode(bytes))
      if (kith !== 1 || id === me || !(port >= 1024)) return
      tell("heard", { kind, id, name, port })
      if (kind === "announce" && !known.has(id + instance)) send("answer", from.address, reply)
      known.add(id + instance)
      if (kind !== "goodbye") options.heard(from.address, port, id)
    } catch {} // whatever is no announcement is dropped without an answer
  }
  const [common, own] = [0, 1].map(() => dgram.createSocket({ type: "udp4", reuseAddr: true }).on("message", hear))
  const send = (kind, to = "127.255.255.255", port = shared) => {
    const announcement = { kith: 1, kind, ...who(), reply: own.address().port }
    own.send(JSON.stringify(options.said(announcement)[0]).padEnd(512), port, to)
  }
  common.bind(shared)
  own.bind(0, "127.0.0.1", () => setInterval(send, 1000, "announce", own.setBroadcast(true)))
  return () => send("goodbye")
}

// 3. Links
const pem = { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }) }
const tls13 = { ...pem, minVersion: "TLSv1.3", requestCert: true, rejectUnauthorized: false, handshakeTimeout: 5000 }
/** Goes on with a link if a node is at its other end, and the one that is expected. */
const meet = (socket, expected, go) => {
  const key = socket.getPeerX509Certificate()?.publicKey
  const isNode = key?.asymmetricKeyType === "ed25519" && !socket.isSessionReused() && socket.alpnProtocol
  if (isNode && idOf(key) === (expected ?? idOf(key))) go(socket, idOf(key))
  else socket.destroy()
}
export const connect = (host, port, protocol, expected, go) => {
  const link = { ...tls13, host, port, ALPNProtocols: [protocol] }
  const socket = tls.connect(link, () => meet(socket.setTimeout(0), expected, go))
  return socket.setTimeout(5000, () => socket.destroy()).on("error", (error) => tell("unreachable", { port, error }))
}
const listener = tls.createServer({ ...tls13, ALPNProtocols: ["kith/1", "kith-data/1"] })
listener.listen(0, "127.0.0.1", () => tell("ready", { id: me, port: listener.address().port }))
listener.on("secureConnection", (socket) => {
  socket.on("error", () => socket.destroy())
  meet(socket, undefined, socket.alpnProtocol === "kith/1" ? control : options.attached)
})

// 4. Control links
/** What comes on a link, for ever: kind and body. There are `head` bytes of kind and 4 of length before each. */
export async function* read(socket, head, maxOf = (kind) => (kind === 1 ? 262144 : kind === 2 ? 40 + 4194304 : 0)) {
  let bytes = Buffer.alloc(0)
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk])
    for (let end; bytes.length >= head + 4; bytes = bytes.subarray(end)) {
      const [kind, length] = [head === 1 ? bytes[0] : 1, bytes.readUInt32BE(head)]
      if (length === 0 || length > maxOf(kind)) throw new Error(`a length of ${length} for kind ${kind}`)
      end = head + 4 + length
      if (bytes.length < end) break
      const body = bytes.subarray(head + 4, end)
      yield [kind, kind === 1 ? JSON.parse(utf8.decode(body)) : body]
    }
  }
}
export const write = (socket, head, frame) => {
  for (const body of socket.writable ? options.said(frame).map((one) => Buffer.from(JSON.stringify(one))) : []) {
    const before = Buffer.alloc(head + 4, 1)
    before.writeUInt32BE(body.length, head)
    socket.write(Buffer.concat([before, body]))
  }
}
const schemas = JSON.parse(fs.readFileSync(new URL("../../docs/protocol/control-frames.json", import.meta.url), "utf8"))
export const frames = { __proto__: null } // what is done with each kind
const take = (link, body) => {
  link.heard = Date.now()
  if (!link.hello) return firstFrame(link, body)
  const tag = typeof body?._tag === "string" ? body._tag : "?"
  const missing = tag === "?" ? "_tag" : schemas.$defs[tag]?.required.find((field) => body[field] === undefined)
  if (missing && tag !== "Refused") link.send({ _tag: "Refused", frame: tag, reason: `no ${missing}` })
  else if (!missing && frames[tag]) frames[tag](link, body)
}
export const control = async (socket, peer, dialled = false) => {
  const link = { socket, peer, dialled, heard: Date.now(), send: (frame) => write(socket, 0, frame) }
  const heart = setInterval(() => {
    const quiet = Date.now() - link.heard
    if (quiet > (link.hello ? 14000 : 5000)) goodbye(link, "silent")
    else if (quiet > 5000) link.send({ _tag: "Ping", nonce: 0 })
  }, 1000)
  try {
    if (dialled) sendHello(link)
    for await (const [, body] of read(socket, 0, () => (link.hello ? 524288 : 8192))) take(link, body)
  } catch {
    goodbye(link, "protocol")
  }
  clearInterval(heart)
  if (sessions.get(peer) === link && sessions.delete(peer)) tell("sessionEnded", { peer })
}

// 5. Sessions
export const sessions = new Map() // peer id -> its link
const sendHello = (link) => link.send({ _tag: "Hello", version: { major: 1, minor: 0 }, features: [], ...who() })
export const goodbye = (link, reason) => {
  link.send({ _tag: "Goodbye", reason })
  link.socket.end()
}
const firstFrame = (link, body) => {
  if (body?._tag === "Goodbye") return frames.Goodbye(link, body)
  if (body?._tag !== "Hello" || !Number.isInteger(body.port)) return goodbye(link, "protocol")
  if (body.version?.major !== 1) return goodbye(link, "version")
  if (link.peer === me || body.id !== link.peer) return goodbye(link, link.peer === me ? "self" : "idMismatch")
  link.hello = body
  options.decide(link)
}
options.decide = (link) => {
  const old = sessions.get(link.peer)
  if (old) goodbye(old, old.hello.instance === link.hello.instance ? "duplicate" : "replaced")
  begin(link)
}
export const begin = (link) => {
  const { peer, dialled, hello } = link
  if (!dialled) sendHello(link)
  sessions.set(peer, Object.assign(link, { since: Date.now() }))
  tell("session", { peer, dialled, name: hello.name })
  link.send({ _tag: "Profile", name: options.name })
  const ours = [...transfers.values()].filter((t) => t.peer === peer && !t.over)
  link.send({ _tag: "Transfers", unfinished: ours.map(({ id, role }) => ({ transfer: id, role })) })
  for (const message of chatWith(peer).unacknowledged) sendChat(peer, message)
}
frames.Hello = (link) => link.send({ _tag: "Refused", frame: "Hello", reason: "a second one" })
frames.Ping = (link, { nonce }) => link.send({ _tag: "Pong", nonce })
frames.Pong = ({ peer }, { nonce }) => tell("pong", { peer, nonce })
frames.Goodbye = ({ peer, socket }, { reason }) => tell("goodbye", { peer, reason }, socket.end())
frames.Refused = ({ peer }, { frame, reason }) => tell("frameRefused", { peer, frame, reason })

// 6. Chat
const chats = new Map() // peer id -> what was said
const chatWith = (peer) => {
  const fresh = { epoch: randomId(), said: 0, unacknowledged: [], shown: new Map(), ids: new Set() }
  return chats.get(peer) ?? chats.set(peer, fresh).get(peer)
}
const sendChat = (peer, message) => {
  const [{ seq: first }] = chatWith(peer).unacknowledged
  sessions.get(peer)?.send({ ...message, first })
}
export const say = (peer, text) => {
  const chat = chatWith(peer)
  const which = { id: randomId(), epoch: chat.epoch, seq: ++chat.said }
  chat.unacknowledged.push({ _tag: "Chat", ...which, toEveryone: false, sentAt: Date.now(), text })
  sendChat(peer, chat.unacknowledged.at(-1))
}
frames.Chat = (link, { id, epoch, first, seq, text }) => {
  const { shown, ids } = chatWith(link.peer)
  const last = Math.max(shown.get(epoch) ?? 0, first - 1)
  if (seq > last + 1 || seq < first) return
  tell(seq > last && !ids.has(id) ? "message" : "again", { peer: link.peer, seq, text })
  shown.set(epoch, Math.max(seq, last))
  ids.add(id)
  if (!options.lossy) link.send({ _tag: "ChatReceipt", epoch, seq: shown.get(epoch), state: "delivered" })
}
frames.ChatReceipt = ({ peer }, { epoch, seq, state }) => {
  const chat = chatWith(peer)
  if (epoch !== chat.epoch || seq > chat.said) return
  tell("receipt", { peer, seq, state })
  if (!options.lossy) chat.unacknowledged = chat.unacknowledged.filter((message) => message.seq > seq)
}

// 7. Transfers, as a receiver
export const transfers = new Map() // id -> transfer, in either role
const finish = (t, over) => sessions.get(t.peer)?.send((t.over = { transfer: t.id, ...over }), t.data.end())
frames.Offer = ({ peer }, { transfer, name, files, bytes }) => {
  tell("offer", { transfer, peer, name, files, bytes })
  const t = { id: transfer, peer, role: "receive", attempt: 0, next: 0, failed: [] }
  return transfers.has(transfer) ? undefined : attach(t, transfers.set(transfer, t))
}
const isSound = (name) => {
  const parts = name.split("/")
  const top = parts[0].normalize("NFKC").replace(/\p{Default_Ignorable_Code_Point}/gu, "")
  const isOdd = (part) => ["", ".", ".."].includes(part) || Buffer.byteLength(part) > 255
  if (!name.isWellFormed() || Buffer.byteLength(name) > 1024 || parts.length > 64 || parts.some(isOdd)) return false
  return !/[\p{Cc}\\]|^[a-z]:(\/|$)/iu.test(name) && !/^\.kith[. ]*$/.test(top.toUpperCase().toLowerCase())
}
/** The blocks of a manifest, in the one line in which they are numbered. */
export const blocksOf = (entries) =>
  entries.flatMap(([name, , size], entry) => {
    const step = [1048576, 2097152].find((step) => size <= 2048 * step) ?? 4194304
    const starts = Array.from({ length: Math.ceil(size / step) }, (_, index) => index * step)
    return starts.map((at) => ({ entry, name, at, size: Math.min(step, size - at) }))
  })
const check = (entries, blocks, totals) => {
  const kinds = new Map(entries)
  const files = entries.filter(([, kind]) => kind === "f")
  const bytes = files.reduce((sum, [, , size]) => sum + size, 0)
  const sums = { files: files.length, directories: entries.length - files.length, bytes, blocks: blocks.length }
  const isIn = (name) => name.split("/").some((_, depth, parts) => kinds.get(parts.slice(0, depth).join("/")) === "f")
  const bad = entries.find(([name, kind, size]) => !isSound(name) || isIn(name) || (kind === "d" && size > 0))
  const wrong = bad ?? Object.keys(sums).find((sum) => sums[sum] !== totals[sum])
  if (wrong || kinds.size !== entries.length || kinds.size === 0) throw new Error(`a list that is not sound: ${wrong}`)
}

// 8. Data links. Blocks are wanted one after the other: `next` is the first that has not come.
export const attach = (t) => {
  const { socket, hello } = sessions.get(t.peer)
  t.data = connect(socket.remoteAddress, hello.port, "kith-data/1", t.peer, (data) =>
    receive(t, data.setTimeout(30000)).catch(({ code, message: reason }) => {
      if (code) return data.destroy() // it is the link that is lost
      tell("refused", { transfer: t.id, reason })
      finish(t, { _tag: "TransferControl", action: "cancel", reason })
    })
  )
  return t
}
const receive = async (t, socket) => {
  const [send, records] = [(frame) => write(socket, 1, frame), read(socket, 1)]
  /** The next of these; others are skipped. */
  const next = async (...tags) => {
    const { value: [kind, body] = [] } = await records.next()
    if (!kind) throw Object.assign(new Error("the link ended"), { code: "ended" })
    return tags.includes(kind === 1 ? body._tag : "block") ? body : next(...tags)
  }
  send({ _tag: "Attach", transfer: t.id, lane: 0, attempt: ++t.attempt })
  if (!(await next("AttachReply")).accepted) return socket.destroy()
  for (let page = 0, list = []; !t.blocks; page++) {
    send({ _tag: "WantPage", page })
    const { entries, totals } = await next("Page")
    list.push(...entries)
    if (totals) accept(t, list, totals)
    else if (entries.length === 0 || list.length > 1000000) throw new Error("a list without end")
  }
  while (t.next < t.blocks.length) {
    send({ _tag: "Want", first: t.next, count: 1 })
    const body = await next("block", "EntryFailed")
    if (body._tag) passOver(t, body)
    else send(keep(t, body))
  }
  publish(t)
}
const accept = (t, entries, totals) => {
  const blocks = blocksOf(entries)
  check(entries, blocks, totals)
  Object.assign(t, { entries, blocks, root: path.join(options.received, t.id) })
  for (const [name, kind] of entries) {
    fs.mkdirSync(path.join(t.root, kind === "d" ? name : path.dirname(name)), { recursive: true })
    if (kind === "f") fs.writeFileSync(path.join(t.root, name), "")
  }
  sessions.get(t.peer)?.send((t.accepted = { _tag: "OfferReply", transfer: t.id, decision: "accepted", reason: "" }))
}
const keep = (t, body) => {
  const [number, bytes, { name, size }] = [body.readBigUInt64BE(), body.subarray(40), t.blocks[t.next]]
  if (number !== BigInt(t.next)) throw new Error(`block ${number} was not asked for`)
  if (bytes.length !== size) throw new Error(`block ${number} of ${name} has a wrong length`)
  if (!sha256(bytes).equals(body.subarray(8, 40))) throw new Error(`block ${number} of ${name} has a wrong digest`)
  fs.appendFileSync(path.join(t.root, name), bytes, { flush: true })
  return { _tag: "Safe", ranges: [[t.next++, 1]] }
}
const passOver = (t, { entry, reason }) => {
  if (t.blocks[t.next].entry === entry) t.failed.push({ path: t.entries[entry][0], reason })
  while (t.blocks[t.next]?.entry === entry) t.next++
}
const publish = (t) => {
  for (const [name, , , mtime, executable] of t.entries.toReversed()) {
    fs.utimesSync(path.join(t.root, name), mtime / 1000, mtime / 1000)
    if (executable) fs.chmodSync(path.join(t.root, name), 0o755)
  }
  const outcome = t.failed.length === 0 ? "done" : t.failed.length < t.entries.length ? "partial" : "failed"
  finish(t, { _tag: "TransferDone", outcome, failed: t.failed.slice(0, 100), error: "" })
  tell("received", { transfer: t.id, root: t.root, outcome })
}
