"""Who runs a campaign, as people know them."""

from __future__ import annotations

import os
import subprocess
import sys

from lib import holding
from lib.campaign import CampaignFolder
from lib.home import Home


def test_a_process_is_named_by_the_campaign_that_it_works_for(home: Home):
    with CampaignFolder(home, "one").hold(wait=False):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        assert holding.spoken(home.campaigns, child.pid) == f"campaign 'one' (pid {child.pid})"
        assert holding.spoken(home.campaigns, os.getpid()) == f"campaign 'one' (pid {os.getpid()})"
        child.communicate()
        assert holding.spoken(home.campaigns, child.pid) == f"pid {child.pid}"
    assert holding.spoken(home.campaigns, os.getpid()) == f"pid {os.getpid()}"
