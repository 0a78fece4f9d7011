"""All other scenarios in one program: writing down and comparing costs them together what it costs one."""
import importlib

import ready

NAMES = 'numbers_and_text containers iterators functions classes standard_library asyncio_tasks imports interpreters collector'

wait = ready.wait
ready.wait = lambda: None
modules = [importlib.import_module(name) for name in NAMES.split()]
ready.wait = wait
import threads  # noqa: E402,F401      waits deep in its stack, while its threads do
