// The other half of section 7 and 8, beside node.js: offers files and directories, and answers what the receiver wants.
import fs from "node:fs"
import path from "node:path"
import { blocksOf, connect, randomId, read, sessions, sha256, tell, transfers, write } from "./node.js"

/** The manifest of what lies at these paths, and where each entry is here. */
const list = (paths) => {
  const entries = []
  const places = []
  const add = (place, name) => {
    const stat = fs.statSync(place)
    const isFile = stat.isFile()
    const executable = isFile && (stat.mode & 0o111) !== 0 ? 1 : 0
    entries.push([name, isFile ? "f" : "d", isFile ? stat.size : 0, Math.trunc(stat.mtimeMs), executable])
    places.push(place)
    if (!isFile) for (const child of fs.readdirSync(place)) add(path.join(place, child), `${name}/${child}`)
  }
  for (const one of paths) add(one, path.basename(one))
  return { entries, places }
}

/** Offers these paths to a peer. With `corrupt`, the digest in the head of each block's record is that of others. */
export const offer = (peer, paths, corrupt) => {
  const { entries, places } = list(paths)
  const files = entries.filter(([, kind]) => kind === "f").length
  const bytes = entries.reduce((all, entry) => all + entry[2], 0)
  const sums = { files, directories: entries.length - files, bytes }
  const id = randomId()
  const frame = {
    _tag: "Offer",
    transfer: id,
    group: randomId(),
    name: [...entries[0][0]].slice(0, 16).join(""),
    ...sums
  }
  const blocks = blocksOf(entries)
  const mine = { role: "send", offer: frame, entries, places, sums, blocks, corrupt }
  transfers.set(id, { id, peer, ...mine, attempts: new Map() })
  sessions.get(peer)?.send(frame)
  tell("offered", { transfer: id, peer })
}

/** Answers the receiver of a transfer on a link that is attached to it. */
const answer = (t, socket, body) => {
  const send = (frame) => write(socket, 1, frame)
  const { entries, sums } = t
  if (body._tag === "WantPage") {
    const part = entries.slice(body.page * 500, (body.page + 1) * 500)
    const last = (body.page + 1) * 500 >= entries.length
    if (part.length === 0) return
    return send({
      _tag: "Page",
      page: body.page,
      entries: part,
      ...(last && { totals: { ...sums, blocks: t.blocks.length } })
    })
  }
  if (body._tag === "Safe") return tell("safe", { transfer: t.id, ranges: body.ranges })
  if (body._tag === "Compare") t.queue.push(body.number)
  else if (body._tag === "Want") {
    for (let n = 0; n < body.count; n++) t.queue.push(body.first + n)
  } else if (body._tag !== "Taken" && body._tag !== "AttachReply") return tell("skipped", { frame: body._tag })
  pump(t, socket)
}

/** Writes what is wanted, in order, as fast as the link takes it. */
const pump = (t, socket) => {
  while (t.queue.length > 0 && !socket.writableNeedDrain && !socket.destroyed) {
    const number = t.queue.shift()
    const { entry, at, size } = t.blocks[number]
    const bytes = Buffer.alloc(size)
    try {
      const file = fs.openSync(t.places[entry], "r")
      const read = fs.readSync(file, bytes, 0, size, at)
      fs.closeSync(file)
      if (read !== size) throw new Error("it changed since it was listed")
    } catch (error) {
      t.queue = t.queue.filter((other) => t.blocks[other].entry !== entry)
      write(socket, 1, { _tag: "EntryFailed", entry, reason: error.message })
      continue
    }
    const head = Buffer.alloc(13, 2)
    head.writeUInt32BE(40 + size, 1)
    head.writeBigUInt64BE(BigInt(number), 5)
    socket.write(Buffer.concat([head, sha256(t.corrupt ? Buffer.alloc(0) : bytes), bytes]))
  }
}

/** Serves a data link that was dialled to here: Attach is its first record. */
export const attached = (socket, peer) => {
  serve(socket, ({ _tag, transfer, lane, attempt }) => {
    const t = transfers.get(transfer)
    const refused = _tag !== "Attach" || t?.peer !== peer || t.role !== "send" || t.over
    const stale = !refused && attempt <= (t.attempts.get(lane)?.attempt ?? 0)
    write(socket, 1, { _tag: "AttachReply", accepted: !refused && !stale, reason: refused ? "no such transfer" : "" })
    return refused || stale ? undefined : begin(t, socket, lane, attempt)
  })
}
/** Answers what comes on a data link, for the transfer that is attached to it. */
const serve = async (socket, attach, t) => {
  try {
    for await (const [, body] of read(socket, 1)) {
      if (t) answer(t, socket, body)
      else if ((t = attach(body)) === undefined) break
    }
  } catch {}
  socket.destroy()
}
const begin = (t, socket, lane, attempt) => {
  t.attempts.get(lane)?.socket.destroy()
  t.attempts.set(lane, { socket, attempt })
  tell("attached", { transfer: t.id, lane, attempt })
  socket.on("drain", () => pump(t, socket))
  t.queue = [] // one lane is all that this sender is made for
  return t
}

/** What is done with these frames by a node that offers. */
export const offering = {
  OfferReply: (_, { transfer, decision, reason }) => tell("reply", { transfer, decision, reason }),
  TransferStatus: (_, { transfer, status }) => tell("status", { transfer, status }),
  DialMe: ({ socket, hello, peer }, { transfer, lane, attempt }) => {
    const t = transfers.get(transfer)
    if (t?.peer !== peer || t.role !== "send" || t.over) return
    connect(socket.remoteAddress, hello.port, "kith-data/1", peer, (data) => {
      write(data, 1, { _tag: "Attach", transfer, lane, attempt })
      serve(data, undefined, begin(t, data, lane, attempt))
    })
  },
  TransferDone: ({ peer }, body) => {
    const t = transfers.get(body.transfer)
    if (t?.peer !== peer || t.role !== "send") return
    t.over = body
    for (const { socket } of t.attempts.values()) socket.end()
    tell("sent", { transfer: t.id, outcome: body.outcome, failed: body.failed, published: body.published })
  }
}
