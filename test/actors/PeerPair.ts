/**
 * Two peer machines and the links between them, as a model without Effect: whatever can happen next is a list of
 * events, and a test chooses. So every order can be tried, and a random one replayed from its seed.
 */
import { tcp } from "../../src/schema/Address.ts"
import { Instance } from "../../src/schema/Id.ts"
import { base32, type PeerId } from "../../src/schema/PeerId.ts"
import * as PeerState from "../../src/actors/peers/PeerState.ts"
import { someId } from "../Some.ts"

const instance = (n: number) => Instance.make(base32(new Uint8Array(16).fill(n)))

export const ids = [someId(1), someId(2)].toSorted() as [PeerId, PeerId]

type Word = "hello" | `goodbye ${string}`

interface Link {
  readonly name: number
  readonly dialler: 0 | 1
  /** Its number at each side; the acceptor's comes with the Hello. */
  readonly numbers: [number | undefined, number | undefined]
  /** On the way to each side, in order. */
  readonly words: [Array<Word>, Array<Word>]
  /** Sides that have nothing to do with it any more. */
  readonly gone: [boolean, boolean]
  reached: boolean
}

export interface Event {
  readonly text: string
  readonly happen: () => void
  /** It happens only if a test wants trouble. */
  readonly isFault: boolean
}

export class PeerPair {
  readonly states: [PeerState.PeerState, PeerState.PeerState]
  readonly links: Array<Link> = []
  readonly log: Array<string> = []
  readonly #waits = [false, false]
  readonly #overs: [Array<PeerState.PeerMessage>, Array<PeerState.PeerMessage>] = [[], []]
  readonly #listens: [number | undefined, number | undefined] = [undefined, undefined]
  #numbers = 0
  now = 0
  alarms = 0

  constructor(wanted: readonly [boolean, boolean] = [true, true]) {
    this.states = [0, 1].map((side) => {
      const [self, peer] = side === 0 ? ids : [ids[1], ids[0]]
      return PeerState.initial({ self, peer, wanted: wanted[side] ?? false, addresses: [tcp("192.0.2.1", 9090)] })
    }) as [PeerState.PeerState, PeerState.PeerState]
    for (const side of [0, 1] as const) this.#follow(side, PeerState.begin(this.states[side]))
  }

  tell(side: 0 | 1, message: PeerState.PeerMessage): void {
    this.#follow(side, PeerState.transition(this.states[side], message, this.now))
  }

  /** A dial by hand. */
  add(side: 0 | 1): void {
    this.#open(side, ++this.#numbers)
  }

  /** The link that is the session at this side. */
  session(side: 0 | 1): number | undefined {
    const current = this.states[side].current
    return current === null ? undefined : this.#link(side, current.link)?.name
  }

  #open(side: 0 | 1, number: number): void {
    const numbers: Link["numbers"] = [undefined, undefined]
    numbers[side] = number
    const name = this.links.length
    this.links.push({ name, dialler: side, numbers, words: [[], []], gone: [false, false], reached: false })
  }

  #link(side: 0 | 1, number: number): Link | undefined {
    return this.links.find((link) => link.numbers[side] === number)
  }

  #other(side: 0 | 1): 0 | 1 {
    return side === 0 ? 1 : 0
  }

  /** This side has left the link; its actor hears of it a little later. */
  #leave(side: 0 | 1, link: Link, reason: string): void {
    if (link.gone[side]) return
    link.gone[side] = true
    const number = link.numbers[side]
    if (number !== undefined) this.#overs[side].push({ _tag: "Over", link: number, reason })
  }

  #say(from: 0 | 1, link: Link, word: Word): void {
    if (!link.gone[this.#other(from)]) link.words[this.#other(from)].push(word)
  }

  #follow(side: 0 | 1, [next, actions]: PeerState.Step): void {
    const before = this.states[side]
    this.states[side] = next
    for (const action of actions) {
      this.log.push(`${side} does ${JSON.stringify(action, ["_tag", "link", "reason", "attempt"])}`)
      this.#act(side, action, before)
    }
    this.#check(side)
  }

  #act(side: 0 | 1, action: PeerState.PeerAction, before: PeerState.PeerState): void {
    switch (action._tag) {
      case "Dial":
        if (this.#has(side)) throw new Error("it dials while it has a session")
        if (before.dial !== null) throw new Error("it dials twice at once")
        return this.#open(side, action.link)
      case "Wait":
        if (this.#waits[side]) throw new Error("it waits twice at once")
        this.#waits[side] = true
        return
      case "StopWaiting":
        this.#waits[side] = false
        return
      case "Alarm":
        this.alarms++
        return
    }
    const link = this.#link(side, action.link)
    if (link === undefined || link.gone[side]) {
      // Its fiber is gone, and its Over on the way.
      return
    }
    switch (action._tag) {
      case "Greet":
        if (this.#has(side)) throw new Error("it says Hello while it has a session")
        return this.#say(side, link, "hello")
      case "Drop":
      case "CancelDial":
        this.#say(side, link, "goodbye dropped")
        return this.#leave(side, link, "dropped")
      case "Adopt":
        if (link.dialler !== side) this.#say(side, link, "hello")
        return
      case "Close":
        this.#say(side, link, `goodbye ${action.reason}`)
        return this.#leave(side, link, action.reason)
      case "Probe":
        if (link.gone[this.#other(side)]) link.words[side].push("goodbye closed")
        return
      case "Listen":
        this.#listens[side] = action.link
    }
  }

  /** A session that it does not doubt. */
  #has(side: 0 | 1): boolean {
    return this.states[side].current !== null && !this.states[side].doubted
  }

  #check(side: 0 | 1): void {
    const state = this.states[side]
    if (this.#has(side) && (state.backingOff || state.waiting.length > 0 || state.deferred.length > 0)) {
      throw new Error("it has a session and still waits for something")
    }
    const isBusy = state.dial !== null || state.backingOff || this.#overs[side].length > 0
    if (state.wanted && !state.halted && state.stopped === null && state.current === null && !isBusy) {
      throw new Error("it is wanted, has no session, and does nothing about it")
    }
  }

  /** Everything that can happen next. */
  events(): ReadonlyArray<Event> {
    const events: Array<Event> = []
    const event = (text: string, happen: () => void, isFault = false) =>
      events.push({
        text,
        isFault,
        happen: () => {
          this.log.push(text)
          happen()
        }
      })
    for (const side of [0, 1] as const) {
      const [over] = this.#overs[side]
      if (over !== undefined) {
        event(`${side} hears that a link is over`, () => {
          this.#overs[side].shift()
          this.tell(side, over)
        })
      }
      const { current, doubted } = this.states[side]
      if (current !== null && !doubted) {
        event(`${side} doubts its session`, () => this.tell(side, { _tag: "Doubtful", link: current.link }), true)
      }
      // Those who always take the first event come to an end so, and the others try this at any time.
      if (this.states[side].greeting === null) this.#hears(side, event)
      if (this.#waits[side]) {
        event(`${side} has waited`, () => {
          this.#waits[side] = false
          this.tell(side, { _tag: "Retry" })
        })
      }
    }
    for (const link of this.links) {
      const number = link.numbers[link.dialler]
      if (!link.reached && !link.gone[link.dialler] && number !== undefined) {
        event(`link ${link.name} is up`, () => {
          link.reached = true
          this.tell(link.dialler, { _tag: "Reached", link: number })
        })
        event(`link ${link.name} cannot be dialled`, () => this.#leave(link.dialler, link, "unreachable"), true)
      }
      for (const side of [0, 1] as const) {
        const [word] = link.words[side]
        if (word !== undefined && !link.gone[side]) {
          event(`${word} on link ${link.name} reaches ${side}`, () => this.#hear(side, link))
        }
        if (link.reached && !link.gone[side]) {
          event(`link ${link.name} breaks for ${side}`, () => this.#leave(side, link, "closed"), true)
        }
        // TCP, or the heartbeat, finds out in the end.
        if (link.gone[this.#other(side)] && !link.gone[side] && link.words[side].length === 0) {
          event(`${side} misses link ${link.name}`, () => this.#leave(side, link, "silent"))
        }
      }
    }
    for (const side of [0, 1] as const) if (this.states[side].greeting !== null) this.#hears(side, event)
    return events
  }

  /** What it doubts was there after all. */
  #hears(side: 0 | 1, event: (text: string, happen: () => void) => void): void {
    const link = this.#listens[side]
    if (link === undefined) return
    event(`${side} hears its session`, () => {
      this.#listens[side] = undefined
      this.tell(side, { _tag: "Answered", link })
    })
  }

  #hear(side: 0 | 1, link: Link): void {
    const word = link.words[side].shift()
    if (word !== "hello") return this.#leave(side, link, word?.slice("goodbye ".length) ?? "closed")
    link.numbers[side] ??= ++this.#numbers
    this.tell(side, {
      _tag: "Established",
      link: link.numbers[side],
      side: link.dialler === side ? "dialled" : "accepted",
      instance: instance(this.#other(side)),
      address: tcp("192.0.2.1", 9090)
    })
  }
}
