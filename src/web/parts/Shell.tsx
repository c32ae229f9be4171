/**
 * The rooms of the page: peers, the conversation, transfers. Side by side where they fit, one at a time on a narrow
 * screen; alarms and the word of a lost node stand above everything.
 */
import { useAtomValue } from "../state/atoms.ts"
import { pane, panel } from "../state/View.ts"
import { registry } from "../state/atoms.ts"
import { Alarms } from "./Alarms.tsx"
import { Conversation } from "./Conversation.tsx"
import { DropArea } from "./DropArea.tsx"
import { LinkBanner } from "./LinkBanner.tsx"
import { NavBar } from "./NavBar.tsx"
import { Sidebar } from "./Sidebar.tsx"
import { Transfers } from "./Transfers.tsx"

export const Shell = () => {
  const shown = useAtomValue(pane)
  const over = useAtomValue(panel)
  const here = (name: typeof shown) => (shown === name ? "flex" : "hidden")
  return (
    <div className="flex h-full flex-col">
      <header className="sr-only">
        <h1>Kith</h1>
      </header>
      <LinkBanner />
      <Alarms />
      <main className="relative grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)] md:grid-cols-[18rem_minmax(0,1fr)] lg:grid-cols-[18rem_minmax(0,1fr)_23rem] xl:grid-cols-[20rem_minmax(0,1fr)_27rem]">
        <nav
          aria-label="Peers"
          className={`${here("peers")} min-h-0 min-w-0 flex-col border-line bg-surface md:flex md:border-r`}
        >
          <Sidebar />
        </nav>
        <section aria-label="Conversation" className={`${here("chat")} min-h-0 min-w-0 flex-col md:flex`}>
          <DropArea>
            <Conversation />
          </DropArea>
        </section>
        <section
          aria-label="Transfers"
          onKeyDown={(event) => {
            if (event.key === "Escape") registry.set(panel, false)
          }}
          className={`${here("transfers")} min-h-0 min-w-0 flex-col border-line bg-surface lg:static lg:flex lg:w-auto lg:border-l lg:shadow-none ${over ? "md:absolute md:inset-y-0 md:right-0 md:z-20 md:flex md:w-96 md:border-l md:shadow-float" : "md:hidden"}`}
        >
          <Transfers />
        </section>
      </main>
      <NavBar />
    </div>
  )
}
