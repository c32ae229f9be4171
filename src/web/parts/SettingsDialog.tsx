/** How this node shows itself and what it takes, and how the page looks. */
import { Stethoscope } from "lucide-react"
import { useEffect, useState } from "react"
import type { NodeInfo } from "../../schema/ApiNode.ts"
import type { AcceptPolicy, Availability } from "../../schema/Peer.ts"
import type { Profile, ProfileChange } from "../../schema/Profile.ts"
import { byteLength, inert, nameMaxBytes } from "../../schema/Text.ts"
import { canNotify, notifying, setNotifying } from "../state/Announcing.ts"
import { useAtomValue } from "../state/atoms.ts"
import { tell } from "../state/Notices.ts"
import { useAsk } from "../state/useAsk.ts"
import { setTheme, show, type Theme, theme } from "../state/View.ts"
import { Button } from "./Button.tsx"
import { CapsForm } from "./CapsForm.tsx"
import { Choice, type Option } from "./Choice.tsx"
import { Dialog } from "./Dialog.tsx"
import { Field } from "./Field.tsx"
import { Toggle } from "./Toggle.tsx"

const themes: ReadonlyArray<Option<Theme>> = [
  { value: "system", label: "As the system" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
  { value: "contrast", label: "High contrast" }
]

const states: ReadonlyArray<Option<Availability>> = [
  { value: "available", label: "Available" },
  { value: "busy", label: "Busy" },
  { value: "away", label: "Away" }
]

const policies: ReadonlyArray<Option<AcceptPolicy>> = [
  { value: "ask", label: "Ask me", hint: "about each offer" },
  { value: "verified", label: "Verified", hint: "take theirs, else ask" },
  { value: "everyone", label: "Everyone", hint: "take all offers" },
  { value: "nobody", label: "Nobody", hint: "decline all offers" }
]

const Said = ({
  profile,
  save
}: {
  readonly profile: Profile
  readonly save: (change: ProfileChange) => Promise<boolean>
}) => {
  const [name, setName] = useState(profile.name)
  const [text, setText] = useState(profile.statusText)
  const tooLong = byteLength(name.trim()) > nameMaxBytes
  return (
    <>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void save({ name: name.trim() })
        }}
        className="flex items-end gap-2"
      >
        <Field
          label="Name"
          className="min-w-0 flex-1"
          required
          value={name}
          problem={tooLong ? "This name is too long." : null}
          onChange={(event) => setName(event.target.value)}
        />
        {name.trim() !== profile.name && (
          <Button type="submit" look="main" className="min-h-11" disabled={name.trim() === "" || tooLong}>
            Save
          </Button>
        )}
      </form>
      <Choice
        label="Status"
        options={states}
        value={profile.status}
        onChange={(status) => save({ status, statusText: text })}
      />
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void save({ statusText: text })
        }}
        className="flex items-end gap-2"
      >
        <Field
          label="A word about it"
          className="min-w-0 flex-1"
          placeholder="Back at three"
          maxLength={120}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        {text !== profile.statusText && (
          <Button type="submit" look="main" className="min-h-11">
            Save
          </Button>
        )}
      </form>
      <Choice
        label="Offers of files"
        options={policies}
        value={profile.accept}
        onChange={(accept) => save({ accept })}
      />
    </>
  )
}

export const SettingsDialog = ({ node, onClose }: { readonly node: NodeInfo; readonly onClose: () => void }) => {
  const look = useAtomValue(theme)
  const told = useAtomValue(notifying)
  const [profile, setProfile] = useState<Profile | null>(null)
  const { problem, run } = useAsk()
  useEffect(() => void run((client) => client.profile.get(), setProfile), [run])
  const save = (change: ProfileChange) =>
    run(
      (client) => client.profile.change({ payload: change }),
      (changed) => {
        setProfile(changed)
        tell("done", "Saved.")
      }
    )
  return (
    <Dialog title="Settings" onClose={onClose} wide>
      <div className="flex flex-col gap-6">
        {problem !== null && (
          <p role="alert" className="text-danger">
            {problem}
          </p>
        )}
        {profile !== null && <Said profile={profile} save={save} />}
        <CapsForm
          hint="Of all transfers together. Nothing written is no limit; one peer can have less, in what is about it."
          load={(client) => client.profile.caps()}
          change={(client, payload) => client.profile.setCaps({ payload })}
        />
        <Choice label="Look" options={themes} value={look} onChange={setTheme} />
        {canNotify() && (
          <Toggle
            label="Notifications"
            hint="Messages and offers, while this page is in the background."
            checked={told}
            onChange={(wanted) =>
              void setNotifying(wanted).then(() => {
                if (wanted && Notification.permission !== "granted") {
                  tell(
                    "problem",
                    "The browser does not allow notifications here. Allow them in the settings of the site."
                  )
                }
              })
            }
          />
        )}
        <dl className="grid gap-4 rounded-xl bg-sunken p-4 text-sm">
          <div>
            <dt className="text-muted">Received files go to</dt>
            <dd className="font-mono break-all select-all">{inert(node.received)}</dd>
          </div>
          <div>
            <dt className="text-muted">The key of this node</dt>
            <dd className="font-mono break-all select-all">{node.fingerprint}</dd>
          </div>
          <div>
            <dt className="text-muted">Addresses</dt>
            <dd className="font-mono break-all select-all">{node.addresses.join(", ") || "none"}</dd>
          </div>
          <div>
            <dt className="text-muted">Version</dt>
            <dd>{node.version}</dd>
          </div>
        </dl>
        <Button onClick={() => show({ _tag: "Diagnostics" })}>
          <Stethoscope size={18} aria-hidden />
          Check this node
        </Button>
      </div>
    </Dialog>
  )
}
