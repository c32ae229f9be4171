/** Starts the page: opens the session, follows the node, draws. */
import { createRoot } from "react-dom/client"
import { App } from "./parts/App.tsx"
import * as Announcing from "./state/Announcing.ts"
import * as Live from "./state/Live.ts"
import * as Offline from "./state/Offline.ts"
import * as Session from "./state/Session.ts"

const root = document.getElementById("root")
if (root !== null) createRoot(root).render(<App />)
addEventListener("hashchange", () => void Session.open())
void Session.open()
Live.start()
Announcing.start()
Offline.start()
