/**
 * How messages are searched: the words of a text as they are indexed, and a person's query as an expression of
 * SQLite's full-text search that is never wrong, whatever was typed. Pure.
 *
 * Case, accents and the width of letters make no difference. Scripts written without spaces are indexed by the
 * character, so that any part of a sentence is found; so are emoji.
 */

/** Scripts that put no spaces between words. */
const unspaced =
  "\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}\\p{sc=Tibetan}"

/** One word: a run of letters and digits, one character of an unspaced script with its marks, a flag, or an emoji. */
const word = new RegExp(
  `[${unspaced}]\\p{M}*|[[\\p{L}\\p{N}\\p{M}]--[${unspaced}]]+|\\p{RI}{2}|\\p{Extended_Pictographic}`,
  "gv"
)

const ascii = /[a-z0-9]+/gi
// oxlint-disable-next-line no-control-regex -- all of ASCII is meant
const isAscii = /^[\u0000-\u007f]*$/
const isUnspaced = new RegExp(`^[[${unspaced}]\\p{RI}\\p{Extended_Pictographic}]`, "v")

/** Longest word that is indexed, in characters; of a longer one its beginning. */
const wordMax = 64

/** From here on, the word that is being typed is taken for the beginning of one. */
const prefixMin = 3

/** Words and phrases of one query; more are not looked at. */
const phrasesMax = 16
const queryMax = 1024

/** What is equal for a search becomes equal here. */
const fold = (text: string): string =>
  isAscii.test(text)
    ? text.toLowerCase()
    : text
        .normalize("NFKD")
        .replace(/[\u0300-\u036f]/g, "")
        .normalize("NFC")
        .toLowerCase()
        .replaceAll("ς", "σ")
        // Some letters decompose into more than letters.
        .replace(/[^\p{L}\p{N}\p{M}\p{RI}\p{Extended_Pictographic}]/gu, "")

interface Word {
  /** As it is compared. */
  readonly folded: string
  /** Where it stands in the text. */
  readonly start: number
  readonly end: number
}

function* wordsOf(text: string): Generator<Word> {
  for (const { 0: found, index } of text.matchAll(isAscii.test(text) ? ascii : word)) {
    const folded = fold(found.length > wordMax ? found.slice(0, wordMax).toWellFormed() : found)
    if (folded !== "") yield { folded, start: index, end: index + found.length }
  }
}

const isLong = new RegExp(`[a-z0-9]{${wordMax + 1}}`, "i")

/** The words of a text, to be indexed: no character in them means anything to the index but the space. */
export const indexed = (text: string): string => {
  // Most text is like this, and needs no look at each word.
  if (isAscii.test(text) && !isLong.test(text)) {
    return text
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, " ")
      .trim()
  }
  let words = ""
  for (const { folded } of wordsOf(text)) words += words === "" ? folded : ` ${folded}`
  return words
}

/** Words that follow each other. */
interface Phrase {
  readonly words: ReadonlyArray<string>
  /** Whether the last word may go on. */
  readonly isPrefix: boolean
}

/** What a person looks for: all of the phrases. Quotes join words to a phrase. */
export const phrasesOf = (query: string): ReadonlyArray<Phrase> => {
  const parts = [
    ...query
      .slice(0, queryMax)
      .toWellFormed()
      .matchAll(/"([^"]*)"?|[^\s"]+/gu)
  ].slice(0, phrasesMax)
  return parts.flatMap(({ 0: part, 1: quoted }, at) => {
    const words = Array.from(wordsOf(quoted ?? part), (one) => one.folded)
    const last = words.at(-1)
    if (last === undefined) return []
    const isTyped = quoted === undefined && at === parts.length - 1 && !/\s$/u.test(query)
    return [{ words, isPrefix: isTyped && last.length >= prefixMin && !isUnspaced.test(last) }]
  })
}

/** The expression of SQLite's search for these phrases, within the column `words`; undefined if there are none. */
export const expression = (phrases: ReadonlyArray<Phrase>): string | undefined =>
  phrases.length === 0
    ? undefined
    : `words : (${phrases.map(({ isPrefix, words }) => `"${words.join(" ")}"${isPrefix ? " *" : ""}`).join(" AND ")})`

/** A piece of a found text, and whether it is what was looked for. */
export interface Piece {
  readonly text: string
  readonly isMatch: boolean
}

/** Characters of a text that are shown around what was found first. */
const excerptMax = 200
const before = 40

/** The part of a text in which something was found first, in pieces. */
export const excerpt = (text: string, phrases: ReadonlyArray<Phrase>): ReadonlyArray<Piece> => {
  const words = [...wordsOf(text)]
  const matches = words.flatMap((_, at) => {
    const lengths = phrases.filter((phrase) => standsAt(words, at, phrase)).map((phrase) => phrase.words.length)
    const end = words[at + Math.max(0, ...lengths) - 1]?.end
    const start = words[at]?.start
    return lengths.length === 0 || start === undefined || end === undefined ? [] : [{ start, end }]
  })
  const from = Math.max(0, (matches[0]?.start ?? 0) - before)
  const to = Math.min(text.length, from + excerptMax)
  const pieces: Array<Piece> = []
  let at = from
  const add = (end: number, isMatch: boolean): void => {
    const piece = text.slice(at, end)
    if (piece !== "") pieces.push({ text: piece, isMatch })
    at = Math.max(at, end)
  }
  if (from > 0) pieces.push({ text: "…", isMatch: false })
  for (const { start, end } of matches) {
    if (start >= to) break
    add(Math.max(at, start), false)
    add(Math.min(to, Math.max(at, end)), true)
  }
  add(to, false)
  if (to < text.length) pieces.push({ text: "…", isMatch: false })
  // A cut may have gone through a character.
  return pieces.map((piece) => ({ ...piece, text: piece.text.toWellFormed() }))
}

const standsAt = (words: ReadonlyArray<Word>, at: number, phrase: Phrase): boolean =>
  phrase.words.every((wanted, i) => {
    const found = words[at + i]?.folded
    if (found === undefined) return false
    return phrase.isPrefix && i === phrase.words.length - 1 ? found.startsWith(wanted) : found === wanted
  })
