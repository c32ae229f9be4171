/** Ways to another node: its address, a ticket it made, or a ticket for it. */
import { AddByAddress } from "./AddByAddress.tsx"
import { Dialog } from "./Dialog.tsx"
import { Invite } from "./Invite.tsx"
import { JoinByTicket } from "./JoinByTicket.tsx"
import { Tabs } from "./Tabs.tsx"

export const AddDialog = ({ onClose }: { readonly onClose: () => void }) => (
  <Dialog title="Add a peer" onClose={onClose}>
    <Tabs
      label="How"
      tabs={[
        { label: "Address", panel: <AddByAddress onDone={onClose} /> },
        { label: "Join", panel: <JoinByTicket onDone={onClose} /> },
        { label: "Invite", panel: <Invite /> }
      ]}
    />
  </Dialog>
)
