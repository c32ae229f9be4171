/** Who offers, whether that is certain, and the way to make it so. */
import { BadgeCheck, ShieldQuestion } from "lucide-react"
import type { Transfer } from "../../schema/Offer.ts"
import type { Peer } from "../../schema/Peer.ts"
import { grouped, short } from "../../schema/PeerId.ts"
import { show } from "../state/View.ts"
import { Avatar } from "./Avatar.tsx"
import { Name } from "./PeerName.tsx"

export const OfferSender = ({ peer, transfer }: { readonly peer: Peer | undefined; readonly transfer: Transfer }) => (
  <div className="flex items-start gap-3">
    <Avatar id={transfer.peer} size={44} />
    <div className="min-w-0 flex-1">
      <p className="flex text-lg font-semibold">
        <Name text={peer?.name ?? short(transfer.peer)} />
      </p>
      {peer?.trust === "verified" ? (
        <p className="flex items-center gap-1.5 text-sm text-accent">
          <BadgeCheck size={16} className="shrink-0" aria-hidden />
          {peer.trustHow === "ticket" ? "Verified by a ticket" : "Verified: it is the machine you compared words with"}
        </p>
      ) : (
        <p className="flex flex-wrap items-center gap-x-1.5 text-sm text-warn">
          <ShieldQuestion size={16} className="shrink-0" aria-hidden /> Not verified: anyone may use this name.
          {peer?.state === "connected" && transfer.state === "offered" && (
            <button
              type="button"
              onClick={() => show({ _tag: "Verify", peer: peer.id })}
              className="font-medium underline underline-offset-4"
            >
              Compare words first
            </button>
          )}
        </p>
      )}
      <p className="mt-1 truncate font-mono text-xs text-muted" title={grouped(transfer.peer)}>
        {grouped(transfer.peer)}
      </p>
    </div>
  </div>
)
