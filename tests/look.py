import sys; sys.path.insert(0,'tests/unit')
from menudriver import *
import os
os.environ["PATH"]="/src/build/userland:"+os.environ["PATH"]
cols,rows=int(sys.argv[1]),int(sys.argv[2])
m=Menu(["build/userland/kvm-menu","-c","test:///default","-p","default-pool","-i","/tmp","-d","/bin/false"],cols=cols,rows=rows)
m.see("What do")
for step in sys.argv[3:]:
    step=step.replace("\\r","\r").replace("\\e","\x1b")
    for c in step: m.key(c); m.pump(0.1)
    m.settle()
    print("==",repr(step)); print(m.text())
