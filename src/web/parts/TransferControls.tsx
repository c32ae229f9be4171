/** What can be done about a transfer now. */
import { X } from "lucide-react"
import { isOver, type Transfer } from "../../schema/Offer.ts"
import { inert } from "../../schema/Text.ts"
import { ask } from "../state/Client.ts"
import { tell } from "../state/Notices.ts"
import { IconButton } from "./Button.tsx"

export const TransferControls = ({ transfer }: { readonly transfer: Transfer }) => {
  if (isOver(transfer.state)) return null
  const cancel = async () => {
    const answer = await ask((client) => client.transfers.cancel({ params: { id: transfer.id } }))
    if (!answer.ok) tell("problem", answer.problem)
  }
  return (
    <div className="-mt-1 -mr-2 flex">
      <IconButton label={`Cancel ${inert(transfer.name)}`} onClick={() => void cancel()}>
        <X size={18} aria-hidden />
      </IconButton>
    </div>
  )
}
