// The rest of section 5 for node.js, which by itself only accepts: dials others, and says which link stays where two
// dials cross. It keeps account of the peers who have not answered a Hello; a link that closes ends that.
import { begin, connect, control, goodbye, me, sessions } from "./node.js"

const dialling = new Map() // peer id -> the socket on which our Hello is out
export const dial = (host, port, expected) =>
  connect(host, port, "kith/1", expected, (socket, peer) => {
    if (sessions.has(peer) || dialling.has(peer)) return socket.destroy()
    dialling.set(peer, socket)
    socket.on("close", () => settle(peer, socket))
    control(socket, peer, true)
  })
/** Our dial has become a session, or nothing: a link put off because of it has its turn. */
const settle = (peer, socket) => {
  if (dialling.get(peer) === socket && dialling.delete(peer)) socket.emit("settled")
}

/** Says which of two links stays. */
export const decide = (link) => {
  const { peer, dialled, socket } = link
  const [old, ours] = [sessions.get(peer), dialling.get(peer)]
  const wins = () => old.dialled === dialled || (!dialled && Date.now() - old.since >= 10000) || dialled === me < peer
  if (!socket.writable) return
  if (!old && !dialled && ours && me < peer) return ours.once("settled", () => decide(link))
  if (old && old.hello.instance !== link.hello.instance) begin(link, goodbye(old, "replaced"))
  else if (old && wins()) begin(link, goodbye(old, "duplicate"))
  else if (old) goodbye(link, "duplicate", old.send({ _tag: "Ping", nonce: 1 }))
  else begin(link)
  settle(peer, socket)
}
