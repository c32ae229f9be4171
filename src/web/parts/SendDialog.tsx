/** What is about to be sent, and to whom: one, several, or everyone. */
import { File, Folder, Send } from "lucide-react"
import { useState } from "react"
import type { Peer } from "../../schema/Peer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { speak } from "../state/Announcing.ts"
import type { Conversation } from "../state/Model.ts"
import type { Picked } from "../state/Picking.ts"
import { registry } from "../state/atoms.ts"
import { begin } from "../state/Uploads.ts"
import { pane, panel } from "../state/View.ts"
import { contents, size } from "../text/format.ts"
import { Button } from "./Button.tsx"
import { Dialog } from "./Dialog.tsx"
import { Name } from "./PeerName.tsx"
import { Receivers } from "./Receivers.tsx"

const shown = 5

const Tops = ({ picked }: { readonly picked: Picked }) => {
  const folders = new Set(picked.directories.map((path) => path.split("/", 1)[0] ?? path))
  const files = picked.files.filter(({ path }) => !path.includes("/"))
  const tops = [
    ...[...folders].map((name) => ({ name, folder: true })),
    ...files.map(({ path }) => ({ name: path, folder: false }))
  ]
  return (
    <ul className="rounded-xl bg-sunken px-3 py-2">
      {tops.slice(0, shown).map(({ folder, name }) => (
        <li key={`${folder} ${name}`} className="flex items-center gap-2.5 py-1">
          {folder ? (
            <Folder size={18} className="shrink-0 text-muted" aria-label="Folder" />
          ) : (
            <File size={18} className="shrink-0 text-muted" aria-label="File" />
          )}
          <Name text={name} />
        </li>
      ))}
      {tops.length > shown && <li className="py-1 text-sm text-muted">and {tops.length - shown} more</li>}
    </ul>
  )
}

export const SendDialog = ({
  onClose,
  peers,
  picked,
  to
}: {
  readonly picked: Picked
  readonly to: Conversation
  readonly peers: ReadonlyMap<PeerId, Peer>
  readonly onClose: () => void
}) => {
  const able = [...peers.values()].filter(
    (peer) => peer.trust !== "blocked" && (peer.state !== "discovered" || peer.id === to)
  )
  const connected = able.filter((peer) => peer.state === "connected")
  const [chosen, setChosen] = useState<ReadonlySet<PeerId>>(
    () => new Set(to === "everyone" ? connected.map((peer) => peer.id) : [to])
  )
  const send = () => {
    begin(picked, [...chosen])
    registry.set(pane, "transfers")
    registry.set(panel, true)
    speak(`${inert(picked.name)} is being handed over.`)
    onClose()
  }
  return (
    <Dialog
      title={picked.files.length + picked.directories.length === 1 ? "Send this file" : "Send these files"}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Not now</Button>
          <Button look="main" disabled={chosen.size === 0} onClick={send} autoFocus>
            <Send size={18} aria-hidden />
            {chosen.size > 1 ? `Send to ${chosen.size} peers` : "Send"}
          </Button>
        </>
      }
    >
      <Tops picked={picked} />
      <p className="mt-2 text-sm text-muted">
        {contents({ files: picked.files.length, directories: picked.directories.length })}, {size(picked.bytes)}
      </p>
      <Receivers peers={able} chosen={chosen} onChange={setChosen} />
    </Dialog>
  )
}
