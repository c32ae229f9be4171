/** All about one peer, and what a person may decide about it. */
import { Ban, ShieldCheck, Trash2, Undo2 } from "lucide-react"
import { type ReactNode, useState } from "react"
import type { AcceptPolicy, Peer } from "../../schema/Peer.ts"
import { grouped } from "../../schema/PeerId.ts"
import { useAsk } from "../state/useAsk.ts"
import { useNow } from "../state/useNow.ts"
import { show } from "../state/View.ts"
import { moment } from "../text/format.ts"
import { statusOf, trustOf } from "../text/status.ts"
import { Avatar } from "./Avatar.tsx"
import { Button } from "./Button.tsx"
import { CapsForm } from "./CapsForm.tsx"
import { Choice, type Option } from "./Choice.tsx"
import { Dialog } from "./Dialog.tsx"
import { Name, PeerName } from "./PeerName.tsx"

const policies: ReadonlyArray<Option<AcceptPolicy | "own">> = [
  { value: "own", label: "As for others", hint: "see Settings" },
  { value: "ask", label: "Ask me" },
  { value: "verified", label: "If verified", hint: "else ask" },
  { value: "everyone", label: "Take them" },
  { value: "nobody", label: "Take none" }
]

const Row = ({ children, label }: { readonly label: string; readonly children: ReactNode }) => (
  <div className="grid gap-0.5 py-2 sm:grid-cols-[8rem_1fr]">
    <dt className="text-sm text-muted">{label}</dt>
    <dd className="min-w-0 break-words">{children}</dd>
  </div>
)

export const PeerDialog = ({ onClose, peer }: { readonly peer: Peer; readonly onClose: () => void }) => {
  const { busy, problem, run } = useAsk()
  const [sure, setSure] = useState<"remove" | "block" | null>(null)
  const now = useNow()
  const byId = { params: { id: peer.id } }
  const blocked = peer.trust === "blocked"
  return (
    <Dialog title={<Name text={peer.name} />} onClose={onClose}>
      <div className="flex items-center gap-4">
        <Avatar id={peer.id} size={56} />
        <div className="min-w-0">
          <p className="flex text-lg font-semibold">
            <PeerName peer={peer} />
          </p>
          <p className="text-muted">{statusOf(peer, now)}</p>
        </div>
      </div>
      <dl className="mt-4 divide-y divide-line">
        <Row label="Trust">
          {trustOf(peer)}
          {peer.trustAt !== undefined && <span className="block text-sm text-muted">{moment(peer.trustAt)}</span>}
        </Row>
        <Row label="Key">
          <span className="font-mono text-sm select-all">{grouped(peer.id)}</span>
        </Row>
        {peer.addresses.length > 0 && (
          <Row label="Addresses">
            <ul className="font-mono text-sm">
              {peer.addresses.map((address) => (
                <li key={address}>{address}</li>
              ))}
            </ul>
          </Row>
        )}
        {peer.lastSeen !== null && <Row label="Last seen">{moment(peer.lastSeen)}</Row>}
      </dl>
      {!blocked && (
        <div className="mt-4 flex flex-col gap-5">
          <Choice
            label="Offers from this peer"
            options={policies}
            value={peer.accept ?? "own"}
            onChange={(chosen) =>
              run((client) => client.trust.accept({ ...byId, payload: { accept: chosen === "own" ? null : chosen } }))
            }
          />
          <CapsForm
            hint="With this peer, within the limits of the whole node. Nothing written is no limit of its own."
            load={(client) => client.profile.peerCaps(byId)}
            change={(client, payload) => client.profile.setPeerCaps({ ...byId, payload })}
          />
        </div>
      )}
      {problem !== null && (
        <p role="alert" className="mt-4 text-danger">
          {problem}
        </p>
      )}
      <div className="mt-6 flex flex-wrap gap-2">
        {!blocked && peer.trust !== "verified" && (
          <Button
            look="main"
            disabled={peer.state !== "connected"}
            title={peer.state === "connected" ? undefined : "Words can be compared once it is connected"}
            onClick={() => show({ _tag: "Verify", peer: peer.id })}
          >
            <ShieldCheck size={18} aria-hidden />
            Verify
          </Button>
        )}
        {blocked ? (
          <Button busy={busy} onClick={() => void run((client) => client.trust.unblock(byId))}>
            <Undo2 size={18} aria-hidden />
            Unblock
          </Button>
        ) : (
          <>
            <Button
              look="danger"
              disabled={busy}
              onBlur={() => setSure(null)}
              onClick={() => (sure === "block" ? void run((client) => client.trust.block(byId)) : setSure("block"))}
            >
              <Ban size={18} aria-hidden />
              {sure === "block" ? "Yes, block it" : "Block"}
            </Button>
            <Button
              look="danger"
              disabled={busy}
              onBlur={() => setSure(null)}
              onClick={() =>
                sure === "remove" ? void run((client) => client.peers.remove(byId), onClose) : setSure("remove")
              }
            >
              <Trash2 size={18} aria-hidden />
              {sure === "remove" ? "Yes, remove it" : "Remove"}
            </Button>
          </>
        )}
      </div>
    </Dialog>
  )
}
