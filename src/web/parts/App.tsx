/** Which of its faces the page shows: not opened yet, loading, or the node. */
import { lazy, Suspense } from "react"
import { useAtomValue } from "../state/atoms.ts"
import { link, model } from "../state/Live.ts"
import { session } from "../state/Session.ts"
import { modals } from "../state/View.ts"
import { Loading } from "./Loading.tsx"
import { Locked } from "./Locked.tsx"
import { Notices } from "./Notices.tsx"
import { Shell } from "./Shell.tsx"

/** Loaded once the page stands, so that it stands sooner; and at once then, since later the node may be gone. */
const loading = () => import("./Dialogs.tsx")
const Dialogs = lazy(async () => ({ default: (await loading()).Dialogs }))

export const App = () => {
  const opened = useAtomValue(session)
  const known = useAtomValue(model)
  const state = useAtomValue(link)
  const over = useAtomValue(modals)
  if (opened._tag === "Locked") return <Locked why={opened.why} />
  if (known === null) return <Loading link={state} />
  return (
    <>
      <Shell />
      <Suspense>
        <Dialogs />
      </Suspense>
      {over === 0 && <Notices />}
    </>
  )
}
