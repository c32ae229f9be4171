/** Ways to another node: its address, a ticket it made, or a ticket for it. */
import { Tabs } from "radix-ui"
import { AddByAddress } from "./AddByAddress.tsx"
import { Dialog } from "./Dialog.tsx"
import { Invite } from "./Invite.tsx"
import { JoinByTicket } from "./JoinByTicket.tsx"

const tabs = [
  ["address", "Address"],
  ["join", "Join"],
  ["invite", "Invite"]
] as const

export const AddDialog = ({ onClose }: { readonly onClose: () => void }) => (
  <Dialog title="Add a peer" onClose={onClose}>
    <Tabs.Root defaultValue="address">
      <Tabs.List aria-label="How" className="mb-5 grid grid-cols-3 gap-1 rounded-xl bg-sunken p-1">
        {tabs.map(([value, label]) => (
          <Tabs.Trigger
            key={value}
            value={value}
            className="min-h-10 rounded-lg text-base font-medium text-muted data-[state=active]:bg-raised data-[state=active]:text-ink data-[state=active]:shadow-card"
          >
            {label}
          </Tabs.Trigger>
        ))}
      </Tabs.List>
      <Tabs.Content value="address">
        <AddByAddress onDone={onClose} />
      </Tabs.Content>
      <Tabs.Content value="join">
        <JoinByTicket onDone={onClose} />
      </Tabs.Content>
      <Tabs.Content value="invite">
        <Invite />
      </Tabs.Content>
    </Tabs.Root>
  </Dialog>
)
