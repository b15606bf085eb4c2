"""A Microsoft Graph on the wire: Outlook calendar and mail, Teams attendance, stateful, faulty on request.

Start with :func:`tests.support.fake_graph.server.fake_graph`; ``graph.root`` is the endpoint, and
``graph.grants`` the tokens it believes. People are made with ``graph.user(address)``, their events with
``user.primary.event(…)``; what others do by hand is ``graph.answer``, ``move``, ``edit``, ``cancel`` and
``delete``. ``graph.fail(route, effect)`` makes things go wrong, ``graph.requests`` is everything that came
in, ``graph.notices`` every mail that Exchange would send by itself.
"""
