"""Is an error that is logged to be read?"""

import subprocess
import sys

ran = subprocess.run([sys.executable, "-c", "import relay.main as m; m.start()"], stderr=subprocess.PIPE, text=True)
assert "a message is left out" in ran.stderr
