/** The commands that put an agent on a node and start it. All are safe to run twice, at the same time too. */
import type { AgentBundle } from './bundle.ts';
import { shellQuote } from './quote.ts';

// Every version has a folder of its own, which appears as a whole. Folders of others go when they are a day old.
const INSTALLER = `
import sys
import hashlib, json, os, shutil, time
version, size = sys.argv[1], int(sys.argv[2])
payload = b""
while len(payload) < size:
    data = os.read(0, size - len(payload))
    if not data:
        break
    payload += data
if not hashlib.sha256(payload).hexdigest().startswith(version):
    sys.exit("the agent arrived damaged")
os.umask(0o077)
base = os.path.join(os.path.expanduser("~"), ".styx-agent", "bin")
draft = os.path.join(base, "%s.%d.tmp" % (version, os.getpid()))
os.makedirs(draft)
for name, text in json.loads(payload.decode()).items():
    with open(os.path.join(draft, name), "wb") as file:
        file.write(text.encode())
def note_python(folder):
    path = os.path.join(folder, "python")
    with open(path + ".tmp", "w") as file:
        file.write(sys.executable + "\\n")
    os.rename(path + ".tmp", path)
note_python(draft)
try:
    os.rename(draft, os.path.join(base, version))
except OSError:
    note_python(os.path.join(base, version))
    shutil.rmtree(draft)
for name in os.listdir(base):
    path = os.path.join(base, name)
    if name != version and time.time() - os.path.getmtime(path) > 86400:
        shutil.rmtree(path, ignore_errors=True)
os.execv(sys.executable, [sys.executable, "-I", "-S", os.path.join(base, version, "main.py"), "serve"])
`;

const NO_PYTHON = '{"styx":"refused","kind":"invalid","message":"there is no python3 of version 3.8 or later"}';
const MISSING = '{"styx":"missing"}';

// The shell's own python3 may be the slow shim of a version manager, or too old with a newer one beside it.
const FIND_PYTHON =
  'python=; for name in python3 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8; do ' +
  'if "$name" -c "import sys; sys.exit(sys.version_info < (3, 8))" >/dev/null 2>&1; then python=$name; break; fi; done; ' +
  `[ -n "$python" ] || { echo ${shellQuote(NO_PYTHON)}; exit; }; `;

/**
 * Connects to the daemon of this version, replacing one of another; the first line of the answer is `missing` when the version is not
 * there. With `anyVersion` whichever daemon serves is taken as it is, and `missing` is the answer when there is no agent at all.
 */
export function serveCommand(version: string, anyVersion = false): string {
  const other = anyVersion
    ? '[ -f "$dir/main.py" ] || dir=$(ls -td "$HOME"/.styx-agent/bin/*/ 2>/dev/null | head -n 1); '
    : '';
  return marked(
    `dir=$HOME/.styx-agent/bin/${version}; ${other}` +
      `{ [ -f "$dir/main.py" ] && read -r python <"$dir/python" && [ -x "$python" ]; } 2>/dev/null || ` +
      `{ echo ${shellQuote(MISSING)}; exit; }; exec "$python" -I -S "$dir/main.py" serve${anyVersion ? ' any' : ''}`,
  );
}

/** Reads the bundle's payload from stdin, puts it in place, and goes on as `serve`. */
export function installCommand(bundle: AgentBundle): string {
  return marked(
    `${FIND_PYTHON}exec "$python" -I -S -c ${shellQuote(INSTALLER)} ${bundle.version} ${bundle.payload.length}`,
  );
}

/** Runs POSIX shell text whatever the login shell is, marked as ours: it counts as nobody's session. */
export function marked(text: string): string {
  return `exec env STYX_CHANNEL=1 sh -c ${shellQuote(text)}`;
}
