"""What the collector does to objects: frozen, untracked, garbage in cycles, of every generation."""
import gc
import weakref

import ready


class Node:
    def __init__(self, number):
        self.number = number
        self.other = None


class Finalised:
    def __init__(self):
        self.itself = self

    def __del__(self):
        pass


frozen = [Node(number) for number in range(200)]
for node in frozen[:100]:
    vars(node)
frozen_dicts = [{'number': number, 'list': [number]} for number in range(100)]
gc.collect()
if hasattr(gc, 'freeze'):       # 3.7 on
    gc.freeze()

old = [Node(number) for number in range(100)]
untracked = [{'only': 'atoms', 'number': number} for number in range(50)] + [(1, 'two', 3.0, number) for number in range(50)]
gc.collect()
middle = [{'list': [number]} for number in range(50)]
gc.collect(0)
young = [[number] for number in range(50)]

gc.disable()
references = []
for number in range(30):
    one, two = Node(number), Node(number)
    one.other, two.other = two, one
    one.extra = {'in': [one]}
    references.append(weakref.ref(one))
    Finalised()
del one, two
loop = []
loop.append(loop)
del loop
gc.callbacks.append(lambda phase, information: None)

ready.wait()
