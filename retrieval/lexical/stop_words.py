"""Function words that say nothing about a product, by language, without accents."""

from __future__ import annotations

_LISTS = {
    "english": """a about am an and any are as at be been but by can could did do does for from had has have i if in into is it its
        me my need of on or our please some something such that the their them then there these they this those to want was we were
        what where which who will with would you your""",
    "german": """aber als am an auch auf aus bei bin bis da das dass dem den der des die doch ein eine einem einen einer eines er es
        etwas fur habe hat ich ihr ihre im in ist mein meine meinen mich mir mit nach oder ohne sehr sein sich sie sind so uber um und
        uns unser vom von vor was wie wir wird zu zum zur""",
    "french": """a au aux avec ce ces cette d dans de des du elle en est et eux il je l la le les leur lui ma mais me mes moi mon ne
        nos notre nous on ou par pas pour qu que qui quelque chose sa se ses son sont sur ta te tes toi ton tu un une vos votre vous
        y""",
    "spanish": """a al algo con cual cuando de del desde donde e el ella en entre es esa ese esta este la las le les lo los mas me mi
        mis muy no nos o para pero por que se si sin sobre son su sus te tu un una unas unos y yo""",
    "italian": """a ad al alla allo agli ai alle che chi ci come con cui da dal dalla dei del della delle dello di e ed gli ha ho i il
        in io la le lo ma mi mia mio ne nel nella non o per piu qualcosa quello questa questo se sono su sul sulla tra un una uno vi""",
    "portuguese": """a ao aos as com como da das de do dos e ela ele em entre essa esse esta este eu foi isso ja mais mas me meu minha
        na nas no nos o os ou para pela pelo por que se sem ser seu sua te tem um uma voce""",
    "dutch": """aan al als bij dat de der deze die dit door een en er het hij iets ik in is je me met mijn naar niet of om onder ons
        ook op over te tot uit van voor wat was we wij wie zich zij zijn""",
    "swedish": """att av de den det du en ett for fran har i inte jag kan man med mig min mitt nagot och om pa sa som till ut var vi
        ar""",
    "danish": "af at de den der det du en er et for fra har i ikke jeg kan man med mig min noget og om pa som til ud var vi",
    "norwegian": "av at de den der det du en er et for fra har i ikke jeg kan man med meg min noe og om pa som til ut var vi",
    "turkish": "bir bu da de gibi icin ile ki mi ne o su ve veya",
    "russian": """а без бы в во вы да для до его ее если же за и из или их к как ко меня мне мой на не но о об он она от по при с со так
        то у что это я""",
}
STOP_WORDS: dict[str, frozenset[str]] = {language: frozenset(words.split()) for language, words in _LISTS.items()}
