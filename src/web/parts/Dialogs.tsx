/** The dialog that is open, if one is; and the comparison of words that a peer asked for, which opens by itself. */
import { useEffect, useRef } from "react"
import type { VerificationId } from "../../schema/Id.ts"
import { useAtomValue } from "../state/atoms.ts"
import { model } from "../state/Live.ts"
import { dialog, show } from "../state/View.ts"
import { AddDialog } from "./AddDialog.tsx"
import { DiagnosticsDialog } from "./DiagnosticsDialog.tsx"
import { LinkDialog } from "./LinkDialog.tsx"
import { OfferDialog } from "./OfferDialog.tsx"
import { PeerDialog } from "./PeerDialog.tsx"
import { SendDialog } from "./SendDialog.tsx"
import { SettingsDialog } from "./SettingsDialog.tsx"
import { VerifyDialog } from "./VerifyDialog.tsx"

const close = () => show(null)

export const Dialogs = () => {
  const open = useAtomValue(dialog)
  const known = useAtomValue(model)
  /** The comparison that opened by itself last: one that is closed here does not come again. */
  const shown = useRef<VerificationId>(undefined)
  const asked = [...(known?.verifications.values() ?? [])].find(
    ({ begunBy, peer, state }) =>
      begunBy === "peer" && (state === "waiting" || state === "comparing") && known?.peers.has(peer)
  )
  useEffect(() => {
    if (open !== null || asked === undefined || asked.id === shown.current) return
    shown.current = asked.id
    show({ _tag: "Verify", peer: asked.peer })
  }, [open, asked])
  if (known === null || open === null) return null
  switch (open._tag) {
    case "Add":
      return <AddDialog onClose={close} />
    case "Settings":
      return <SettingsDialog node={known.node} onClose={close} />
    case "Diagnostics":
      return <DiagnosticsDialog onClose={close} />
    case "Link":
      return <LinkDialog url={open.url} onClose={close} />
    case "Send":
      return <SendDialog picked={open.picked} to={open.to} peers={known.peers} onClose={close} />
    case "Offer": {
      const transfer = known.transfers.get(open.transfer)
      return transfer === undefined ? null : (
        <OfferDialog
          key={transfer.id}
          node={known.node}
          transfer={transfer}
          peer={known.peers.get(transfer.peer)}
          onClose={close}
        />
      )
    }
    case "Peer":
    case "Verify": {
      const peer = known.peers.get(open.peer)
      if (peer === undefined) return null
      return open._tag === "Peer" ? (
        <PeerDialog key={peer.id} peer={peer} onClose={close} />
      ) : (
        <VerifyDialog key={peer.id} peer={peer} onClose={close} />
      )
    }
  }
}
