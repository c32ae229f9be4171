/** Connects to an address that a person knows. */
import { useState } from "react"
import { inert } from "../../schema/Text.ts"
import { registry, useAtomValue } from "../state/atoms.ts"
import { model } from "../state/Live.ts"
import { tell } from "../state/Notices.ts"
import { useAsk } from "../state/useAsk.ts"
import { talkTo } from "../state/View.ts"
import { Button } from "./Button.tsx"
import { Field } from "./Field.tsx"

export const AddByAddress = ({ onDone }: { readonly onDone: () => void }) => {
  const [address, setAddress] = useState("")
  const { busy, clear, problem, run } = useAsk()
  const addresses = useAtomValue(model)?.node.addresses ?? []
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        void run(
          (client) => client.peers.add({ payload: { address: address.trim() } }),
          (peer) => {
            tell("done", `Connected to ${inert(peer.name)}.`)
            if (registry.get(model)?.peers.has(peer.id) === true) talkTo(peer.id)
            onDone()
          }
        )
      }}
    >
      <Field
        label="Address and port"
        placeholder="192.168.1.20:9090"
        autoFocus
        required
        spellCheck={false}
        autoCapitalize="off"
        value={address}
        problem={problem}
        onChange={(event) => {
          setAddress(event.target.value)
          clear()
        }}
      />
      <Button type="submit" look="main" className="mt-4 w-full" busy={busy} disabled={address.trim() === ""}>
        {busy ? "Connecting…" : "Connect"}
      </Button>
      {addresses.length > 0 && (
        <p className="mt-5 text-sm text-muted">
          From another machine, this one is reached at{" "}
          {addresses.slice(0, 3).map((own, at) => (
            <span key={own}>
              {at > 0 && " or "}
              <span className="font-mono text-ink select-all">{own}</span>
            </span>
          ))}
          .
        </p>
      )}
    </form>
  )
}
