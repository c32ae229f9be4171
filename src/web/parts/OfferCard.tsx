/** An offer in short: who, what, how much. The whole of it is looked at before it is answered, or it is taken at once. */
import { ShieldQuestion } from "lucide-react"
import type { Transfer } from "../../schema/Offer.ts"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { useAtomValue } from "../state/atoms.ts"
import { model } from "../state/Live.ts"
import { useAsk } from "../state/useAsk.ts"
import { show } from "../state/View.ts"
import { contents, size } from "../text/format.ts"
import { Avatar } from "./Avatar.tsx"
import { Button } from "./Button.tsx"
import { Name, PeerName } from "./PeerName.tsx"

export const OfferCard = ({ transfer }: { readonly transfer: Transfer }) => {
  const peer = useAtomValue(model)?.peers.get(transfer.peer)
  const { busy, problem, run } = useAsk()
  const byId = { params: { id: transfer.id } }
  return (
    <article
      aria-label={`Offer: ${inert(transfer.name)}`}
      className="arrive rounded-card border-2 border-accent bg-raised p-4"
    >
      <div className="flex items-center gap-3">
        <Avatar id={transfer.peer} size={36} />
        <div className="min-w-0 flex-1">
          <p className="flex font-semibold">
            {peer === undefined ? <span className="font-mono">{short(transfer.peer)}</span> : <PeerName peer={peer} />}
          </p>
          <p className="flex items-center gap-1 text-sm text-muted">
            {peer?.trust === "verified" ? (
              "Verified"
            ) : (
              <>
                <ShieldQuestion size={14} className="shrink-0" aria-hidden /> Not verified, key{" "}
                <span className="font-mono">{short(transfer.peer)}</span>
              </>
            )}
          </p>
        </div>
      </div>
      <p className="mt-3 flex font-medium">
        <Name text={transfer.name} />
      </p>
      <p className="text-sm text-muted">
        {contents(transfer)}, {size(transfer.totalBytes)}
      </p>
      {problem !== null && (
        <p role="alert" className="mt-2 text-sm text-danger">
          {problem}
        </p>
      )}
      <div className="mt-4 flex gap-2">
        <Button
          look="main"
          className="px-3 whitespace-nowrap"
          busy={busy}
          onClick={() => void run((client) => client.transfers.accept({ ...byId, payload: {} }))}
        >
          Accept
        </Button>
        <Button className="px-3 whitespace-nowrap" onClick={() => show({ _tag: "Offer", transfer: transfer.id })}>
          Look at it
        </Button>
        <Button
          look="plain"
          className="ml-auto px-3"
          disabled={busy}
          onClick={() => void run((client) => client.transfers.decline(byId))}
        >
          Decline
        </Button>
      </div>
    </article>
  )
}
