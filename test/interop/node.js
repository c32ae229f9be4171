// A second node, written from docs/PROTOCOL.md alone: plain JavaScript, Node's own modules, no line shared with the
// program. It discovers, keeps sessions and chats; receiving.js and offering.js beside it add the frames of transfers,
// and main.js runs it all. What happens it tells as lines of JSON on stdout. It owns its sockets; its process ends them.
import crypto from "node:crypto"
import dgram from "node:dgram"
import tls from "node:tls"

/**
 * `dialHeard`: dial who announces itself. `crossing`: dial who dials, so that the two dials cross. `future`: speak as a
 * later minor version would. `lossy`: as if every receipt, in either direction, were lost.
 */
export const options = { name: "Other", received: "received" }
export const tell = (event, fields = {}) => void process.stdout.write(JSON.stringify({ event, ...fields }) + "\n")
export const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest()
const base32 = (bytes) => {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("")
  return bits.replace(/.{1,5}/g, (five) => "abcdefghijklmnopqrstuvwxyz234567"[parseInt(five.padEnd(5, "0"), 2)])
}
export const randomId = () => base32(crypto.randomBytes(16))
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const toJson = (body) => JSON.stringify(options.future ? { ...body, addedIn: "1.7" } : body)

// 1. Identity: a key, its id, and a certificate written by hand
const der = (tag, ...parts) => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)))
  return Buffer.concat([Buffer.from(body.length < 128 ? [tag, body.length] : [tag, 0x81, body.length]), body])
}
const { publicKey, privateKey } = crypto.generateKeyPairSync("ed25519")
const idOf = (key) => base32(sha256(key.export({ type: "spki", format: "der" })))
const makeCertificate = () => {
  const algorithm = der(0x30, der(0x06, [0x2b, 0x65, 0x70])) // 1.3.101.112
  const dates = der(0x30, ...["250101000000Z", "450101000000Z"].map((date) => der(0x17, Buffer.from(date))))
  const [version, serial, nobody] = [der(0xa0, der(0x02, [2])), der(0x02, [1]), der(0x30)]
  const key = publicKey.export({ type: "spki", format: "der" })
  const signed = der(0x30, version, serial, algorithm, nobody, dates, nobody, key)
  const all = der(0x30, signed, algorithm, der(0x03, [0], crypto.sign(null, signed, privateKey)))
  return `-----BEGIN CERTIFICATE-----\n${all.toString("base64")}\n-----END CERTIFICATE-----\n`
}
export const [me, instance] = [idOf(publicKey), randomId()]
const pem = { cert: makeCertificate(), key: privateKey.export({ type: "pkcs8", format: "pem" }) }
const secure = { ...pem, minVersion: "TLSv1.3", requestCert: true, rejectUnauthorized: false, handshakeTimeout: 5000 }

// 3. Links
/** The id of whoever is at the other end, or undefined if this is no link of ours. */
const peerOf = (socket) => {
  const key = socket.getPeerX509Certificate()?.publicKey
  const isOurs = key?.asymmetricKeyType === "ed25519" && !socket.isSessionReused() && socket.alpnProtocol
  return isOurs ? idOf(key) : undefined
}
/** Reads `head` bytes of kind, 4 of length and a body, for ever; answers how to write a frame. */
export const open = (socket, head, maxOf, take, broken) => {
  let before = null
  socket.on("readable", () => {
    try {
      while (!socket.destroyed && (before ??= socket.read(head + 4))?.length === head + 4) {
        const [kind, length] = [head === 1 ? before[0] : 1, before.readUInt32BE(head)]
        if (length === 0 || length > maxOf(kind)) throw new Error(`a length of ${length} for kind ${kind}`)
        const body = socket.read(length)
        if (body?.length !== length) return
        before = null
        take(kind === 1 ? JSON.parse(utf8.decode(body)) : body, kind)
      }
    } catch (error) {
      broken(error)
    }
  })
  return (body) => {
    const frame = Buffer.concat([Buffer.alloc(head + 4, 1), Buffer.from(toJson(body))])
    frame.writeUInt32BE(frame.length - head - 4, head)
    if (socket.writable) socket.write(frame)
  }
}
export const connect = (host, port, protocol, expected, ready) => {
  const socket = tls.connect({ ...secure, host, port, ALPNProtocols: [protocol] }, () => {
    const peer = peerOf(socket.setTimeout(0))
    if (peer === undefined || (expected && peer !== expected)) socket.destroy()
    else ready(socket, peer)
  })
  return socket.setTimeout(5000, () => socket.destroy()).on("error", (error) => tell("unreachable", { port, error }))
}
/** The one listener. Who comes for a data link goes to `attached`. */
const listener = tls.createServer({ ...secure, ALPNProtocols: ["kith/1", "kith-data/1"] })
export const listen = (attached) => {
  listener.on("secureConnection", (socket) => {
    const peer = peerOf(socket.on("error", () => socket.destroy()))
    if (peer === undefined) socket.destroy()
    else if (socket.alpnProtocol === "kith/1") control(socket, peer, false)
    else attached(socket, peer)
  })
  return new Promise((done) => listener.listen(0, "127.0.0.1", () => done(listener.address().port)))
}

// 4 and 5. Control links and sessions
export const sessions = new Map() // peer id -> its link
export const transfers = new Map() // id -> transfer, in either role
const dialling = new Map() // peer id -> the link on which our Hello is out
export const goodbye = (link, reason) => {
  link.send({ _tag: "Goodbye", reason })
  link.socket.end()
  tell("ended", { peer: link.peer, reason })
}
const control = (socket, peer, dialled) => {
  const link = { socket, peer, dialled, since: 0, heard: Date.now() }
  const take = (body) => {
    link.heard = Date.now()
    if (!link.hello) return firstFrame(link, body)
    if (typeof body?._tag !== "string") return link.send({ _tag: "Refused", frame: "?", reason: "no _tag" })
    if (!Object.hasOwn(frames, body._tag)) return tell("skipped", { frame: body._tag })
    const missing = needed[body._tag]?.split(" ").find((field) => body[field] === undefined)
    if (missing === undefined) frames[body._tag](link, body)
    else if (body._tag !== "Refused") link.send({ _tag: "Refused", frame: body._tag, reason: `no ${missing}` })
  }
  link.send = open(
    socket,
    0,
    () => (link.hello ? 524288 : 8192),
    take,
    () => goodbye(link, "protocol")
  )
  const patience = setTimeout(() => link.hello ?? goodbye(link, "silent"), 5000)
  const heart = setInterval(() => {
    const quiet = link.since > 0 ? Date.now() - link.heard : 0
    if (quiet > 15000) goodbye(link, "silent")
    else if (quiet > 5000) link.send({ _tag: "Ping", nonce: 0 })
  }, 1000)
  socket.on("close", () => {
    clearTimeout(patience)
    clearInterval(heart)
    settle(link)
    if (sessions.get(peer) === link && sessions.delete(peer)) tell("sessionEnded", { peer })
  })
  if (dialled) dialling.set(peer, sendHello(link))
}
const sendHello = (link) => {
  const [minor, features, { port }] = [
    options.future ? 7 : 0,
    options.future ? ["time-travel"] : [],
    listener.address()
  ]
  link.send({ _tag: "Hello", version: { major: 1, minor }, features, id: me, instance, name: options.name, port })
  return link
}
const firstFrame = (link, body) => {
  if (body?._tag === "Goodbye") return frames.Goodbye(link, body)
  if (body?._tag !== "Hello" || !Number.isInteger(body.port)) return goodbye(link, "protocol")
  if (body.version?.major !== 1) return goodbye(link, "version")
  if (link.peer === me || body.id !== link.peer) return goodbye(link, link.peer === me ? "self" : "idMismatch")
  link.hello = body
  const isFirst = !link.dialled && !sessions.has(link.peer) && !dialling.has(link.peer)
  if (options.crossing && isFirst) return dial(link.socket.remoteAddress, body.port, link.peer, () => decide(link))
  decide(link)
  settle(link)
}
/** Our dial has become a session, or nothing: a link put off because of it has its turn. */
const settle = ({ peer, socket }) => {
  if (dialling.get(peer)?.socket === socket && dialling.delete(peer)) socket.emit("settled")
}
const decide = (link) => {
  const [{ peer, dialled, socket }, old, ours] = [link, sessions.get(link.peer), dialling.get(link.peer)]
  const wins = () => old.dialled === dialled || (!dialled && Date.now() - old.since >= 10000) || dialled === me < peer
  if (!socket.writable) return
  if (!old && !dialled && ours && me < peer) ours.socket.once("settled", () => decide(link))
  else if (!old) begin(link)
  else if (old.hello.instance !== link.hello.instance) begin(link, goodbye(old, "replaced"))
  else if (wins()) begin(link, goodbye(old, "duplicate"))
  else goodbye(link, "duplicate", old.send({ _tag: "Ping", nonce: 1 }))
}
const begin = (link) => {
  const { peer, dialled, hello } = link
  if (!dialled) sendHello(link)
  link.since = Date.now()
  sessions.set(peer, link)
  tell("session", { peer, dialled, name: hello.name, version: hello.version })
  if (options.future) link.send({ _tag: "Rainbow", colours: 7 })
  link.send({ _tag: "Profile", name: options.name })
  const ours = [...transfers.values()].filter((t) => t.peer === peer && !t.over)
  link.send({ _tag: "Transfers", unfinished: ours.map((t) => ({ transfer: t.id, role: t.role })) })
  for (const message of chatWith(peer).unacknowledged) sendChat(peer, message)
  for (const t of ours) if (t.role === "send") link.send(t.offer)
}
export const dial = (host, port, expected, then = () => undefined) =>
  connect(host, port, "kith/1", expected, (socket, peer) => {
    if (sessions.has(peer) || dialling.has(peer)) return socket.destroy()
    control(socket, peer, true)
    then()
  })

// 6. Chat
const chats = new Map() // peer id -> what was said
const chatWith = (peer) => {
  const fresh = { epoch: randomId(), next: 1, unacknowledged: [], shown: new Map(), ids: new Set() }
  return chats.get(peer) ?? chats.set(peer, fresh).get(peer)
}
const sendChat = (peer, message) => {
  const { epoch, unacknowledged } = chatWith(peer)
  sessions.get(peer)?.send({ _tag: "Chat", epoch, first: unacknowledged[0].seq, ...message })
}
export const say = (peer, text) => {
  const chat = chatWith(peer)
  chat.unacknowledged.push({ id: randomId(), seq: chat.next++, toEveryone: false, sentAt: Date.now(), text })
  sendChat(peer, chat.unacknowledged.at(-1))
}

/** What is done with each kind of frame; the fields without which those that matter are refused. */
export const needed = {
  Ping: "nonce",
  Chat: "id epoch first seq text",
  ChatReceipt: "epoch seq state"
}
export const frames = {
  Ping: (link, { nonce }) => link.send({ _tag: "Pong", nonce }),
  Pong: ({ peer }, { nonce }) => tell("pong", { peer, nonce }),
  Goodbye: ({ peer, socket }, { reason }) => tell("goodbye", { peer, reason }, socket.end()),
  Profile: ({ peer }, { name, status }) => tell("profile", { peer, name, status }),
  Refused: ({ peer }, { frame, reason }) => tell("frameRefused", { peer, frame, reason }),
  Chat: (link, { id, epoch, first, seq, text }) => {
    const { shown, ids } = chatWith(link.peer)
    const last = Math.max(shown.get(epoch) ?? 0, first - 1)
    if (seq > last + 1 || seq < first) return tell("gap", { peer: link.peer, seq })
    tell(seq > last && !ids.has(id) ? "message" : "again", { peer: link.peer, seq, text })
    shown.set(epoch, Math.max(seq, last))
    ids.add(id)
    if (!options.lossy) link.send({ _tag: "ChatReceipt", epoch, seq: shown.get(epoch), state: "delivered" })
  },
  ChatReceipt: ({ peer }, { epoch, seq, state }) => {
    const chat = chatWith(peer)
    if (epoch !== chat.epoch || seq >= chat.next) return
    tell("receipt", { peer, seq, state })
    if (!options.lossy) chat.unacknowledged = chat.unacknowledged.filter((message) => message.seq > seq)
  }
}

// 2. Discovery, on the loopback
export const discover = (shared) => {
  const heard = new Map() // id and instance -> when
  const [common, own] = ["", ""].map(() => dgram.createSocket({ type: "udp4", reuseAddr: true }))
  const send = (kind, to, port = shared) => {
    const [ours, reply] = [listener.address().port, own.address().port]
    own.send(toJson({ kith: 1, kind, id: me, instance, name: options.name, port: ours, reply }).padEnd(512), port, to)
  }
  const hear = (bytes, from) => {
    if (bytes.length < 512 || bytes.length > 1200) return
    try {
      const { kith, kind, id, instance: theirs, name, port, reply } = JSON.parse(utf8.decode(bytes))
      if (kith !== 1 || id === me || !(port >= 1024)) return
      const isNew = !(Date.now() - heard.get(id + theirs) < 30000)
      tell("heard", { kind, id, name, port })
      if (kind === "announce" && isNew) send("answer", from.address, reply)
      if (kind === "goodbye") return heard.delete(id + theirs)
      heard.set(id + theirs, Date.now())
      if (options.dialHeard && !sessions.has(id) && !dialling.has(id)) dial(from.address, port, id)
    } catch {} // whatever is no announcement is dropped without an answer
  }
  const announce = (kind) => ["127.255.255.255", "239.255.90.90"].map((to) => send(kind, to))
  common.on("message", hear).bind(shared, () => common.addMembership("239.255.90.90", "127.0.0.1"))
  own.on("message", hear).bind(0, "127.0.0.1", () => {
    own.setBroadcast(true)
    own.setMulticastInterface("127.0.0.1")
    announce("announce")
    setInterval(announce, 1000, "announce")
  })
  return () => announce("goodbye")
}
