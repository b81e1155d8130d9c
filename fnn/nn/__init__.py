from fnn.nn.containers import *
from fnn.nn.module import Module
from fnn.nn.parameter import Buffer, Parameter
