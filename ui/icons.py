"""The names of the Tabler icons the pages use; ui.assets draws the sprite from them."""

FALLBACK_ICON = "box"

# Services are declared in folders and may name an icon of their own, so the list holds more than
# the templates use. A name outside it is drawn as FALLBACK_ICON.
ICONS: frozenset[str] = frozenset(
    """
    activity adjustments alert-circle alert-triangle alert-octagon api app-window archive
    arrow-back-up arrow-down arrow-left arrow-right arrow-up arrows-exchange
    arrows-maximize arrows-up-down ban bell bolt book box brand-docker bucket building
    building-bank building-community calendar calendar-dollar calendar-due calendar-event
    camera certificate chart-bar chart-line check checklist checks chevron-down
    chevron-left chevron-right chevron-up circle circle-check circle-dashed circle-minus
    circle-x clipboard-check clock clock-dollar clock-hour-4 clock-pause cloud coin
    container copy cpu cpu-2 database database-cog database-export device-desktop device-floppy
    device-sd-card disc dots download edit external-link eye file-certificate file-description
    file-export file-invoice file-plus file-search file-text files filter flag folder
    gauge git-branch globe grid-dots hand-stop heart-rate-monitor help-circle history home
    hourglass hourglass-high inbox info-circle key language layout-dashboard layout-grid
    layout-grid-add lifebuoy link list list-check list-details loader-2 lock lock-open
    logout mail map-pin maximize menu-2 message message-2 minus moon mood-smile network
    notes package paperclip pencil percentage player-pause player-play player-stop plug
    plug-connected plug-connected-x plus power printer progress radar receipt
    receipt-2 refresh reload repeat replace report report-money restore rotate-clockwise
    router scale search send server server-2 server-bolt server-cog settings shield
    shield-check shield-lock sitemap square-rounded-check stack stack-2 stack-3 star
    stopwatch sun switch-horizontal table tag tags target template terminal terminal-2
    text-size timeline topology-star trash trending-down trending-up user user-check
    user-circle user-cog user-plus users users-group versions wall wand wifi world world-www x
    """.split()  # noqa: SIM905 - a paragraph reads better than 190 quoted lines
)
