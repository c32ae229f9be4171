// Sections 7 and 8 for node.js, as a receiver: takes every offer into a directory of its own, and refuses what is not
// what the manifest and the digests say. It owns its data links; a transfer ends them.
import fs from "node:fs"
import path from "node:path"
import { connect, frames, needed, open, options, sessions, sha256, tell, transfers } from "./node.js"

export const recordMax = (kind) => (kind === 1 ? 262144 : kind === 2 ? 40 + 4194304 : 0)
const finish = (t, over) => {
  t.data?.end()
  sessions.get(t.peer)?.send((t.over = over))
}
const refuse = (t, reason) => {
  tell("refused", { transfer: t.id, reason })
  finish(t, { _tag: "TransferControl", transfer: t.id, action: "cancel", reason })
}
const attach = (t) => {
  const session = sessions.get(t.peer)
  if (!session || t.data || t.over || t.held || t.role !== "receive") return
  t.data = connect(session.socket.remoteAddress, session.hello.port, "kith-data/1", t.peer, (socket) => {
    const take = (body, kind) => {
      if (kind === 2) takeBlock(t, body)
      else if (Object.hasOwn(receiving, body._tag)) receiving[body._tag](t, body)
      else tell("skipped", { frame: body._tag })
    }
    t.send = open(socket, 1, recordMax, take, (error) => refuse(t, error.message))
    t.send({ _tag: "Attach", transfer: t.id, lane: 0, attempt: ++t.attempt })
    if (options.future) t.send({ _tag: "Rainbow", colours: 7 })
  })
  t.data.on("close", () => {
    Object.assign(t, t.todo ? { data: undefined, todo: [...t.pending, ...t.todo], pending: [] } : { data: undefined })
    setTimeout(attach, 200, t)
  })
}
const receiving = {
  AttachReply: (t, { accepted }) => {
    if (!accepted) t.data.destroy()
    else if (t.todo) want(t)
    else t.send({ _tag: "WantPage", page: (t.pages = t.entries.length = 0) })
  },
  Page: (t, { page, entries, totals }) => {
    if (page !== t.pages++ || t.todo) throw new Error("a page that was not asked for")
    t.entries.push(...entries)
    if (!totals) return t.send({ _tag: "WantPage", page: t.pages })
    check(t.entries, totals)
    t.blocks = blocksOf(t.entries)
    Object.assign(t, { todo: [...t.blocks.keys()], pending: [], failed: new Map() })
    t.root = path.join(options.received, t.id)
    for (const [name, kind] of t.entries) {
      fs.mkdirSync(path.join(t.root, kind === "d" ? name : path.dirname(name)), { recursive: true })
      if (kind === "f") fs.writeFileSync(path.join(t.root, name), "")
    }
    t.accepted = { _tag: "OfferReply", transfer: t.id, decision: "accepted", reason: "" }
    sessions.get(t.peer)?.send(t.accepted)
    want(t)
  },
  EntryFailed: (t, { entry, reason }) => {
    t.failed.set(entry, reason)
    for (const list of ["pending", "todo"]) t[list] = t[list].filter((number) => t.blocks[number].entry !== entry)
    want(t)
  }
}
/** Keeps 16 blocks under way. When there are none left, all is in its place. */
const want = (t) => {
  while (t.pending.length < 16 && t.todo.length > 0) {
    const run = t.todo.slice(0, 16 - t.pending.length).filter((number, index) => number === t.todo[0] + index)
    t.send({ _tag: "Want", first: run[0], count: run.length })
    t.pending.push(...t.todo.splice(0, run.length))
  }
  if (t.pending.length > 0) return
  for (const [name, , , mtime, executable] of t.entries.toReversed()) {
    fs.utimesSync(path.join(t.root, name), mtime / 1000, mtime / 1000)
    if (executable) fs.chmodSync(path.join(t.root, name), 0o755)
  }
  const failed = [...t.failed].map(([entry, reason]) => ({ path: t.entries[entry][0], reason })).slice(0, 100)
  const outcome = t.failed.size === 0 ? "done" : t.failed.size < t.entries.length ? "partial" : "failed"
  finish(t, { _tag: "TransferDone", transfer: t.id, outcome, failed, error: "" })
  tell("received", { transfer: t.id, root: t.root, outcome, failed })
}
const takeBlock = (t, body) => {
  const [number, bytes] = [Number(body.readBigUInt64BE()), body.subarray(40)]
  if (number !== t.pending?.[0]) throw new Error(`block ${number} was not asked for`)
  const { name, at, size } = t.blocks[number]
  if (bytes.length !== size) throw new Error(`block ${number} of ${name} has a wrong length`)
  if (!sha256(bytes).equals(body.subarray(8, 40))) throw new Error(`block ${number} of ${name} has a wrong digest`)
  const file = fs.openSync(path.join(t.root, name), "r+")
  fs.writeSync(file, bytes, 0, size, at)
  fs.fsyncSync(file)
  fs.closeSync(file)
  t.send({ _tag: "Safe", ranges: [[t.pending.shift(), 1]] })
  want(t)
}
const isSound = (name) => {
  const parts = name.split("/")
  const top = parts[0]
    .normalize("NFKC")
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .toUpperCase()
    .toLowerCase()
  const isOdd = (part) => ["", ".", ".."].includes(part) || Buffer.byteLength(part) > 255
  if (!name.isWellFormed() || Buffer.byteLength(name) > 1024 || parts.length > 64 || parts.some(isOdd)) return false
  return !/[\p{Cc}\\]/u.test(name) && !/^[a-z]:$/i.test(parts[0]) && !/^\.kith[. ]*$/.test(top)
}
const blockSizeOf = (size) => [1, 2, 4].map((n) => n * 1048576).find((n) => Math.ceil(size / n) <= 2048) ?? 4194304
/** The blocks of a manifest, in the one line in which they are numbered. */
export const blocksOf = (entries) =>
  entries.flatMap(([name, , size], entry) => {
    const step = blockSizeOf(size)
    const starts = Array.from({ length: Math.ceil(size / step) }, (_, index) => index * step)
    return starts.map((at) => ({ entry, name, at, size: Math.min(step, size - at) }))
  })
const check = (entries, totals) => {
  const kinds = new Map(entries)
  const sums = { files: 0, directories: 0, bytes: 0, blocks: blocksOf(entries).length }
  for (const [name, kind, size] of entries) {
    const inFile = name.split("/").some((_, depth, parts) => kinds.get(parts.slice(0, depth).join("/")) === "f")
    if (!isSound(name) || inFile || (kind === "d" && size > 0)) throw new Error(`an unsound entry: ${name}`)
    sums[kind === "f" ? "files" : "directories"]++
    sums.bytes += size
  }
  const wrong = Object.keys(sums).some((sum) => sums[sum] !== totals[sum])
  if (wrong || entries.length === 0 || kinds.size !== entries.length) throw new Error("totals that are not the sums")
}

Object.assign(needed, {
  Transfers: "unfinished",
  Offer: "transfer name files bytes",
  TransferControl: "transfer action"
})
Object.assign(frames, {
  Transfers: ({ peer }, { unfinished }) => {
    const theirs = unfinished.filter((one) => one.role === "send").map((one) => one.transfer)
    const gone = [...transfers.values()].filter(
      (t) => t.peer === peer && t.role === "receive" && !theirs.includes(t.id)
    )
    for (const t of gone) transfers.delete(t.id, t.data?.destroy())
  },
  Offer: (link, { transfer, name, files, bytes }) => {
    const fresh = { id: transfer, role: "receive", peer: link.peer, entries: [], attempt: 0 }
    const t = transfers.get(transfer) ?? transfers.set(transfer, fresh).get(transfer)
    tell("offer", { transfer, peer: link.peer, name, files, bytes })
    if (t.over ?? t.accepted) link.send(t.over ?? t.accepted)
    attach(t)
  },
  TransferControl: (link, { transfer, action, reason }) => {
    const t = transfers.get(transfer)
    if (t?.peer !== link.peer || t.over) return
    tell("control", { transfer, action, reason })
    if (action === "cancel") t.over = { _tag: "TransferControl", transfer, action, reason }
    t.held = action === "pause"
    if (action === "resume") attach(t)
    else t.data?.destroy()
  }
})
